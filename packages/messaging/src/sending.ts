import { type Bus, decodeEnvelope } from '@banyan/core'
import { failedAttempt, reasonOf } from './errors.ts'
import type { FailedAttempt } from './parking.ts'
import type { OutboxEntry } from './ports.ts'

/** How far a batch got. What is neither `failed` nor `waiting` was accepted by the bus. */
export interface Sent {
  /** Everything up to this position is settled; `undefined`: nothing is, see `error`. */
  readonly upTo: number | undefined
  readonly accepted: number
  /** The bus does not take these, though it takes others. */
  readonly failed: readonly { entry: OutboxEntry; error: FailedAttempt }[]
  /** These wait behind others of their key. */
  readonly waiting: readonly OutboxEntry[]
  /** Why the rest is not settled. */
  readonly error: unknown
}

export interface SendOptions {
  readonly bus: Bus
  /** Keys with messages in the key queue already. */
  readonly parked: ReadonlySet<string>
  /** How often in a row sending has failed before this. */
  readonly failures: number
  /** Where the messages go one by one, no more are sent once so many are settled. Default: all. */
  readonly limit?: number
}

/** After this many failures in a row the messages of a batch are sent one by one, to find out whether one of them is the cause. */
const TOGETHER = 3

/** Hands a batch to the bus. Never rejects: what happened is in the result. */
export async function send(entries: readonly OutboxEntry[], options: SendOptions): Promise<Sent> {
  const { parked } = options
  const waiting = parked.size === 0 ? [] : entries.filter(({ key }) => parked.has(key))
  const free = parked.size === 0 ? entries : entries.filter(({ key }) => !parked.has(key))
  const upTo = entries.at(-1)?.position
  if (options.failures < TOGETHER) {
    try {
      const batch = free.map(({ body }) => decodeEnvelope(body))
      if (batch.length > 0) await options.bus.publish(batch)
      return { upTo, accepted: batch.length, failed: [], waiting, error: undefined }
    } catch (error) {
      if (!isPermanent(error)) return { upTo: undefined, accepted: 0, failed: [], waiting: [], error: error ?? silent() }
    }
  }
  return sendEach(entries, options)
}

/**
 * Sends one by one. A message that fails counts as the cause of the trouble once a later one is accepted, or when the bus says
 * so itself: a bus that takes nothing is away, and no message is to blame. The more failures before, the more is tried, so that
 * many bad messages in front cannot hide the good ones behind them.
 */
async function sendEach(entries: readonly OutboxEntry[], { bus, parked, failures, limit = entries.length }: SendOptions): Promise<Sent> {
  const failed: { entry: OutboxEntry; error: FailedAttempt }[] = []
  const waiting: OutboxEntry[] = []
  const blocked = new Set(parked)
  let suspects: { entry: OutboxEntry; error: unknown }[] = []
  let accepted = 0
  let upTo: number | undefined
  const mayTry = 2 ** Math.min(failures, 16)
  for (const [index, entry] of entries.entries()) {
    if (suspects.length >= mayTry || (suspects.length === 0 && index >= limit)) break
    if (blocked.has(entry.key)) {
      waiting.push(entry)
    } else {
      const error = await sendOne(bus, entry)
      if (!error) {
        accepted += 1
        failed.push(...suspects.map((one) => ({ entry: one.entry, error: relayFailure(one.error) })))
        suspects = []
      } else {
        blocked.add(entry.key)
        if (isPermanent(error.error)) failed.push({ entry, error: relayFailure(error.error) })
        else suspects.push({ entry, error: error.error })
      }
    }
    if (suspects.length === 0) upTo = entry.position
  }
  const settled = (entry: OutboxEntry) => upTo !== undefined && entry.position <= upTo
  return {
    upTo,
    accepted,
    failed: failed.filter(({ entry }) => settled(entry)),
    waiting: waiting.filter(settled),
    error: suspects[0] && (suspects[0].error ?? silent()),
  }
}

async function sendOne(bus: Bus, entry: OutboxEntry): Promise<{ error: unknown } | undefined> {
  try {
    await bus.publish([decodeEnvelope(entry.body)])
    return undefined
  } catch (error) {
    return { error }
  }
}

/** What an error of handing an event to the bus stands for. */
export function relayFailure(error: unknown): FailedAttempt {
  return failedAttempt(error, reasonOf(error))
}

function silent(): Error {
  return new Error('the bus rejected events without saying why')
}

function isPermanent(error: unknown): boolean {
  return reasonOf(error) !== 'failed'
}
