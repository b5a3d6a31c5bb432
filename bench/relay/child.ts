import { settingsOfContestant, tell } from '../contestant.ts'
import type { RelaySubject } from './subject.ts'

// One relay or queue in a process of its own: npm run bench -- relay starts it.

export interface RelayTask {
  readonly subject: string
  readonly url: string
  readonly messages: number
  /** The most to measure. */
  readonly maxSeconds: number
}

export interface RelayResult {
  readonly messagesPerSecond: number
  /** How many were moved in the time measured. */
  readonly moved: number
  readonly seconds: number
}

/** How each is opened on an empty database. */
const subjects: Readonly<Record<string, () => Promise<(url: string) => Promise<RelaySubject>>>> = {
  banyan: async () => (await import('./banyan.ts')).openBanyan,
  bare: async () => (await import('./bare.ts')).openBare,
  'graphile-batched': async () => (await import('./graphile-worker.ts')).openGraphileWorker(true),
  'graphile-single': async () => (await import('./graphile-worker.ts')).openGraphileWorker(false),
  'pg-boss': async () => (await import('./pg-boss.ts')).openPgBoss,
  // Of 5 (its default), 20, 200 and 1,000 the fastest.
  'transactional-outbox': async () => (await import('./transactional-outbox.ts')).openTransactionalOutbox(1_000),
  'transactional-outbox-default': async () => (await import('./transactional-outbox.ts')).openTransactionalOutbox(5),
}

const task = settingsOfContestant<RelayTask>()
const load = subjects[task.subject]
if (!load) throw new RangeError(`there is no relay "${task.subject}"`)
const subject = await (await load())(task.url)
await subject.fill(task.messages)
await tell('filled', task.messages)
// The benchmark lets the server write its checkpoint, then says go.
await new Promise((resolve) => process.once('message', resolve))

// From the first message on: how long it takes to start is not what is measured. What came with the first is not counted.
let first: { atMs: number; count: number } | undefined
let moved = 0
const over = new Promise<void>((resolve) => {
  const sink = (count: number) => {
    moved += count
    if (!first) {
      first = { atMs: performance.now(), count }
      setTimeout(resolve, task.maxSeconds * 1_000)
    }
    if (moved >= task.messages) resolve()
  }
  subject.start(sink).catch((error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
await over
if (moved >= task.messages) await subject.settled?.()
const endedAtMs = performance.now()
const { atMs, count } = first ?? { atMs: Number.NaN, count: 0 }
const result: RelayResult = {
  moved,
  seconds: (endedAtMs - atMs) / 1_000,
  messagesPerSecond: ((moved - count) * 1_000) / (endedAtMs - atMs),
}
await subject.stop()
await tell('result', result)
// What a peer has left open must not keep the process.
process.exit(0)
