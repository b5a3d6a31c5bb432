import type { Socket } from 'node:net'
import type { World } from '@banyan/core'
import type { Faults } from './fault-proxy-faults.ts'
import { type Flow, flow } from './fault-proxy-flow.ts'

/** The connections of a proxy, each a socket to the client and one to the server. */
export interface FaultLinks {
  readonly size: number
  add(client: Socket, server: Socket): void
  /** The faults have changed. */
  changed(): void
  /** Resets all. */
  cut(): void
}

export interface FaultLinksOptions {
  readonly world: World
  readonly random: () => number
  /** Those of the moment. */
  readonly faults: () => Faults
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  readonly flows: readonly Flow[]
}

/** Creates {@link FaultLinks}. */
export function faultLinks({ world, random, faults }: FaultLinksOptions): FaultLinks {
  const links = new Set<Link>()

  function linkOf(client: Socket, server: Socket): Link {
    const onSpent = (how: 'reset' | 'close') => end(link, how)
    const shared = { world, random, onSpent }
    const there = flow({ ...shared, from: client, to: server, faults: () => facing(faults(), 'requests') })
    const back = flow({ ...shared, from: server, to: client, faults: () => facing(faults(), 'answers') })
    const link: Link = { client, server, flows: [there, back] }
    client.once('close', (hadError) => part(link, server, hadError))
    server.once('close', (hadError) => part(link, client, hadError))
    return link
  }

  /** One side of a link is gone. */
  function part(link: Link, other: Socket, hadError: boolean): void {
    if (faults().halfOpen || faults().blackHole) return
    if (hadError) end(link, 'reset')
    else if (other.destroyed) forget(link)
    // What has been read from the side that is gone is still on its way; then the other is told.
  }

  function end(link: Link, how: 'reset' | 'close'): void {
    forget(link)
    for (const socket of [link.client, link.server]) {
      if (how === 'reset') socket.resetAndDestroy()
      else socket.end(() => socket.destroy())
    }
  }

  function forget(link: Link): void {
    for (const each of link.flows) each.stop()
    links.delete(link)
  }

  return {
    get size() {
      return links.size
    },
    add(client, server) {
      links.add(linkOf(client, server))
    },
    changed() {
      for (const link of [...links]) {
        for (const each of link.flows) each.changed()
        // Who went while nobody was to be told is told now.
        if (link.client.destroyed) part(link, link.server, link.client.errored !== null)
        if (link.server.destroyed) part(link, link.client, link.server.errored !== null)
      }
    },
    cut() {
      for (const link of [...links]) end(link, 'reset')
    },
  }
}

/** The faults, where they hold for bytes of this direction. */
function facing(faults: Faults, direction: 'requests' | 'answers'): Faults | undefined {
  const { direction: held = 'both' } = faults
  return held === 'both' || held === direction ? faults : undefined
}
