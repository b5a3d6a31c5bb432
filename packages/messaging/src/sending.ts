import { type Fate, type OneByOneOptions, sendOneByOne } from './one-by-one.ts'
import { envelopeIn, type Outgoing } from './outgoing.ts'
import type { FailedAttempt } from './parking.ts'
import { isPermanent, silent } from './relay-failure.ts'

/** How far a batch got. What is neither `failed` nor `waiting` was accepted by the bus. */
export interface Sent {
  /** Everything up to this position is settled; `undefined`: nothing is, see `error`. */
  readonly upTo: number | undefined
  /** How many of those up to there the bus has taken. */
  readonly accepted: number
  /** The bus does not take these, though it takes others. */
  readonly failed: readonly { entry: Outgoing; error: FailedAttempt }[]
  /** These wait behind others of their key. */
  readonly waiting: readonly Outgoing[]
  /** Why the rest is not settled. */
  readonly error: unknown
}

/** After this many failures in a row the messages of a batch are sent one by one, to find out whether one of them is the cause. */
const TOGETHER = 3

/** Hands a batch to the bus. Never rejects: what happened is in the result. */
export async function send(entries: readonly Outgoing[], options: OneByOneOptions): Promise<Sent> {
  const { bus, answers, parked, failures } = options
  const waiting = parked.size === 0 ? [] : entries.filter(({ key }) => parked.has(key))
  const free = parked.size === 0 ? entries : entries.filter(({ key }) => !parked.has(key))
  const upTo = entries.at(-1)?.position
  if (failures < TOGETHER) {
    try {
      const batch = free.map(envelopeIn)
      if (batch.length > 0) {
        await bus.publish(batch)
        answers.yes()
      }
      return { upTo, accepted: batch.length, failed: [], waiting, error: undefined }
    } catch (error) {
      if (!isPermanent(error)) {
        answers.no()
        return { upTo: undefined, accepted: 0, failed: [], waiting: [], error: error ?? silent() }
      }
    }
  }
  const { fates, error } = await sendOneByOne(entries, options)
  return settledOf(entries, fates, error)
}

/** What is decided up to the first entry that is not. */
function settledOf(entries: readonly Outgoing[], fates: readonly Fate[], error: unknown): Sent {
  const failed: { entry: Outgoing; error: FailedAttempt }[] = []
  const waiting: Outgoing[] = []
  let accepted = 0
  let upTo: number | undefined
  for (const [index, entry] of entries.entries()) {
    const fate = fates[index]
    if (!fate) break
    if (fate.kind === 'failed') failed.push({ entry, error: fate.error })
    else if (fate.kind === 'waiting') waiting.push(entry)
    else accepted += 1
    upTo = entry.position
  }
  return { upTo, accepted, failed, waiting, error }
}
