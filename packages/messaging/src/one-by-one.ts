import type { Bus } from '@banyan/core'
import type { BusAnswers } from './bus-answers.ts'
import { envelopeIn, type Outgoing } from './outgoing.ts'
import type { FailedAttempt } from './parking.ts'
import { isPermanent, relayFailure, silent } from './relay-failure.ts'

export interface OneByOneOptions {
  readonly bus: Bus
  /** Told of each answer. */
  readonly answers: BusAnswers
  /** Keys with messages in the key queue already. */
  readonly parked: ReadonlySet<string>
  /** How often in a row sending has failed before this. */
  readonly failures: number
  /** No more are sent once so many are decided. */
  readonly limit: number
  /** When it aborts, no more are sent. */
  readonly signal: AbortSignal
}

/**
 * What became of an event. `undefined`, that nothing is decided: it was not sent, or it failed and nobody can say whether it is to blame.
 */
export type Fate = { readonly kind: 'accepted' | 'waiting' } | { readonly kind: 'failed'; readonly error: FailedAttempt } | undefined

/**
 * Sends events one by one, to find those that the bus does not take. Gives back what became of each, and the error that keeps it from
 * deciding about the rest.
 *
 * One that fails is a suspect, and those of its key wait. When a later one is accepted, all suspects are tried again in order: the bus may
 * have been away, and be back. One that fails again is to blame if the bus takes once more, right after it, what it took right before;
 * that one comes twice then, and is known at receivers. If it does not, it is away again. So a bus that takes nothing is away, and
 * no event is to blame; one that says so itself is believed at once.
 *
 * The more failures before, the more is tried, so that many bad events in front cannot hide the good ones behind them.
 */
export async function sendOneByOne(
  entries: readonly Outgoing[],
  options: OneByOneOptions,
): Promise<{ fates: readonly Fate[]; error: unknown }> {
  const { failures, signal, limit } = options
  const mayTry = 2 ** Math.min(failures, 16)
  const fates = new Array<Fate>(entries.length).fill(undefined)
  const blocked = new Set(options.parked)
  const failedOnce = new Set<number>()
  /** Since the bus took something; those of their keys are passed by. */
  let suspects = new Map<string, { readonly index: number; readonly error: unknown }>()
  /** What the bus took with its last answer, if it took it. */
  let taken: Outgoing | undefined
  for (let index = 0; index < entries.length && !signal.aborted; index += 1) {
    const entry = entries[index] as Outgoing
    if (suspects.size >= mayTry || (suspects.size === 0 && index >= limit)) break
    if (fates[index] || suspects.has(entry.key)) continue
    if (blocked.has(entry.key)) {
      fates[index] = { kind: 'waiting' }
      continue
    }
    const failure = await handOver(entry, options)
    if (!failure) {
      fates[index] = { kind: 'accepted' }
      taken = entry
      const [first] = suspects.values()
      if (first) index = first.index - 1
      suspects = new Map()
      continue
    }
    const verdict = await verdictOn(failure.error, failedOnce.has(index) ? taken : undefined, options)
    if (verdict === 'to blame') {
      fates[index] = { kind: 'failed', error: relayFailure(failure.error) }
      blocked.add(entry.key)
      continue
    }
    taken = undefined
    failedOnce.add(index)
    suspects.set(entry.key, { index, error: failure.error })
    if (verdict === 'away') break
  }
  const [first] = suspects.values()
  return { fates, error: first && (first.error ?? silent()) }
}

/** On an event that failed; `taken` is what the bus took right before, where this was not its first failure. */
async function verdictOn(error: unknown, taken: Outgoing | undefined, options: OneByOneOptions): Promise<'to blame' | 'suspect' | 'away'> {
  if (isPermanent(error)) return 'to blame'
  if (!taken) return 'suspect'
  return (await handOver(taken, options)) ? 'away' : 'to blame'
}

async function handOver(entry: Outgoing, { bus, answers }: OneByOneOptions): Promise<{ error: unknown } | undefined> {
  try {
    await bus.publish([envelopeIn(entry)])
    answers.yes()
    return undefined
  } catch (error) {
    if (!isPermanent(error)) answers.no()
    return { error }
  }
}
