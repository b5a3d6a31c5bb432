import { messageOf, type World } from '@banyan/core'
import { brokenWatch } from './etcd-error.ts'
import type { EtcdHttp } from './etcd-http.ts'
import { fieldOf, integerOf, listOf, textOf } from './fields.ts'

/** What a watch said: something changed, nothing for a while, or that it cannot go on from where it was. */
export type Heard =
  | { readonly type: 'events'; readonly messages: readonly unknown[] }
  | { readonly type: 'quiet' }
  | { readonly type: 'compacted' }

/** An open watch. */
export interface EtcdStream {
  /**
   * All messages with events that have come since the last time, or the next one, or `quiet` after `waitMs`.
   *
   * @throws {EtcdError} `ERR_REGISTRY_UNAVAILABLE` when the watch has broken off, or was not confirmed in time
   */
  next(waitMs: number): Promise<Heard>
  close(): void
}

/** How long etcd may take to confirm a watch, milliseconds. */
const confirmMs = 5_000

/** What the reading side of a stream has put down for the asking side. */
interface Inbox {
  confirmed: boolean
  readonly messages: unknown[]
  compacted: boolean
  ended: unknown
  wake: () => void
}

/** Opens a watch of all keys in `range` from `revision` on; `stopped` closes it, as `close` does. */
export function etcdStream(options: {
  http: EtcdHttp
  range: { key: string; range_end: string }
  revision: number
  stopped: AbortSignal
  world: World
}): EtcdStream {
  const { http, range, revision, world } = options
  const closed = new AbortController()
  const close = () => closed.abort()
  options.stopped.addEventListener('abort', close, { once: true })
  const inbox: Inbox = { confirmed: false, messages: [], compacted: false, ended: undefined, wake: () => {} }
  void read(http, { create_request: { ...range, start_revision: String(revision) } }, closed.signal, inbox)

  return {
    async next(waitMs) {
      const first = !inbox.confirmed
      const isEmpty = inbox.messages.length === 0 && !inbox.compacted && inbox.ended === undefined
      if (isEmpty) await rung(inbox, world, first ? Math.max(waitMs, confirmMs) : waitMs)
      if (inbox.messages.length > 0) return { type: 'events', messages: inbox.messages.splice(0) }
      if (inbox.compacted) return { type: 'compacted' }
      if (inbox.ended !== undefined) throw inbox.ended
      if (!inbox.confirmed) throw brokenWatch(`it was not confirmed within ${Math.max(waitMs, confirmMs)} ms`)
      return { type: 'quiet' }
    },
    close() {
      options.stopped.removeEventListener('abort', close)
      close()
    },
  }
}

async function read(http: EtcdHttp, body: object, signal: AbortSignal, inbox: Inbox): Promise<void> {
  try {
    for await (const line of http.stream('/v3/watch', body, signal)) {
      const message = fieldOf(line, 'result')
      if (message === undefined) throw brokenWatch(`it answered ${JSON.stringify(line).slice(0, 200)}`)
      inbox.confirmed ||= fieldOf(message, 'created') === true
      if (integerOf(message, 'compact_revision') > 0) inbox.compacted = true
      else if (fieldOf(message, 'canceled') === true) throw brokenWatch(`etcd cancelled it ${textOf(message, 'cancel_reason')}`.trimEnd())
      else if (listOf(message, 'events').length > 0) inbox.messages.push(message)
      else continue
      inbox.wake()
    }
    inbox.ended = brokenWatch('etcd ended it')
  } catch (error) {
    inbox.ended = error instanceof Error ? error : brokenWatch(messageOf(error), error)
  }
  inbox.wake()
}

/** Resolves when something was put into the inbox, or after `waitMs`. */
function rung(inbox: Inbox, world: World, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel()
      inbox.wake = () => {}
      resolve()
    }
    const timer = world.after(waitMs, done)
    inbox.wake = done
  })
}
