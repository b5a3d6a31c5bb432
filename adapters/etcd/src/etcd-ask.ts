import type { World } from '@banyan/core'
import type { Listing, RegistryProtocol } from '@banyan/discovery/internal'
import type { EtcdHttp } from './etcd-http.ts'
import { prefixOf, rangeOf } from './etcd-instance.ts'
import { type EtcdStream, etcdStream } from './etcd-stream.ts'
import { afterMessages, type EtcdView, viewOf } from './etcd-view.ts'

/** What {@link etcdAsk} needs. */
export interface EtcdAskOptions {
  http: EtcdHttp
  root: string
  service: string
  world: World
}

type Question = Parameters<ReturnType<RegistryProtocol['ask']>>[0]

/** How long a listing may take, milliseconds. */
const listMs = 5_000

/**
 * Asks for a service's instances: the first time and after a break with a listing, then with one watch that goes on from the listing's
 * revision, so that nothing is missed between them. A watch that etcd cannot continue (compacted) lists again. After a wait in which nothing
 * came, a listing asks whether etcd is there at all: a watch whose connection leads nowhere says nothing too.
 *
 * @see https://etcd.io/docs/v3.6/learning/api/, "Watch API"
 */
export function etcdAsk({ http, root, service, world }: EtcdAskOptions): ReturnType<RegistryProtocol['ask']> {
  const range = rangeOf(prefixOf(root, service))
  let view: EtcdView | undefined
  let stream: EtcdStream | undefined

  async function list(signal: AbortSignal): Promise<EtcdView> {
    const listed = viewOf(await http.call('/v3/kv/range', range, { timeoutMs: listMs, signal }))
    // Quiet was right: the watch goes on. Otherwise it has missed something and starts anew from here.
    if (view && sameKeys(view, listed)) return { ...listed, lost: new Set() }
    drop()
    return view ? { ...listed, lost: missing(view, listed) } : listed
  }
  function drop(): void {
    stream?.close()
    stream = undefined
  }
  async function follow(known: EtcdView, { waitMs, signal, stopped }: Question): Promise<EtcdView> {
    stream ??= etcdStream({ http, range, revision: known.revision + 1, stopped, world })
    const heard = await stream.next(waitMs)
    if (heard.type === 'events') return afterMessages(known, heard.messages)
    if (heard.type === 'compacted') drop()
    return list(signal)
  }

  return async (question) => {
    const { index, signal } = question
    try {
      if (index === 0) drop()
      view = view && index > 0 ? await follow(view, question) : await list(signal)
      return toListing(view)
    } catch (error) {
      drop()
      throw error
    }
  }
}

function toListing({ revision, instances, lost }: EtcdView): Listing {
  return { index: revision, healthy: [...instances.values()], failing: lost }
}

/** Ids that are no longer listed, and nobody has heard why. */
function missing(before: EtcdView, after: EtcdView): ReadonlySet<string> {
  return new Set([...before.instances].filter(([key]) => !after.instances.has(key)).map(([, { id }]) => id))
}

function sameKeys(one: EtcdView, two: EtcdView): boolean {
  const text = ({ instances }: EtcdView) => JSON.stringify([...instances].sort(([a], [b]) => (a < b ? -1 : 1)))
  return text(one) === text(two)
}
