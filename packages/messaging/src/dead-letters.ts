import {
  type Database,
  decodeEnvelope,
  type Envelope,
  EnvelopeError,
  encodeEnvelope,
  messageOf,
  type ReadTransaction,
  systemWorld,
  type Transaction,
  type World,
} from '@banyan/core'
import { MessagingError } from './errors.ts'
import { checkOptions } from './options.ts'
import { after, DEFAULT_RETRY, type Failure, type FailureReason } from './parking.ts'
import {
  type AuditRecord,
  type DeadLetterFilter,
  type DeadLetterStore,
  deadLettersPort,
  keyQueuePort,
  type ParkedMessage,
  type ParkedStats,
} from './ports.ts'

/** A message that nothing more is done with until somebody decides. Its key is parked. */
export interface DeadLetter {
  /** Its number, unique in its database. */
  readonly id: number
  readonly group: string
  readonly type: string | undefined
  readonly key: string | undefined
  /** The envelope's id; where it could not be read, a digest of it. */
  readonly messageId: string
  readonly reason: FailureReason
  readonly code: string | undefined
  readonly message: string
  readonly stack: string | undefined
  readonly attempts: number
  /** Milliseconds since 1970. */
  readonly firstAt: number
  /** Milliseconds since 1970. */
  readonly lastAt: number
  readonly traceId: string | undefined
  /** `undefined` when it could not be read: see `raw`. */
  readonly envelope: Envelope | undefined
  readonly raw: string
}

export interface DeadLetterDetails extends DeadLetter {
  /** Messages of the same key that wait for this one. */
  readonly followers: number
  /** What was decided about it before, newest first. */
  readonly history: readonly AuditRecord[]
}

/** Who decides, and why; kept for good. */
export interface Decision {
  by: string
  reason: string
}

export interface BulkDecision extends Decision {
  /** Only say what would be done. Default false. */
  dryRun?: boolean
}

export interface Decided {
  /** The dead letters decided about, or that would be in a dry run. Not those that somebody else was faster with. */
  readonly ids: readonly number[]
  readonly dryRun: boolean
}

/** What people do about messages that failed for good. */
export interface DeadLetters {
  /** Oldest first, up to `limit`, a whole number from 1, default 100, above the id `after`. */
  list(filter?: DeadLetterFilter & { limit?: number; after?: number }): Promise<DeadLetter[]>
  /**
   * @throws {MessagingError} `ERR_DEAD_LETTER_UNKNOWN`
   * @throws {RangeError} for an id that is no whole number from 1
   */
  show(id: number): Promise<DeadLetterDetails>
  /**
   * Runs them again, at once and with all their attempts; those behind them follow in order. `{}` means all.
   *
   * @throws {TypeError} for a filter that is not `{}` and says nothing, as `{ id: undefined }`
   */
  redrive(filter: DeadLetterFilter, decision: BulkDecision): Promise<Decided>
  /**
   * Throws them away; those behind them flow on. `{}` means all.
   *
   * @throws {TypeError} for a filter that is not `{}` and says nothing, as `{ id: undefined }`
   */
  discard(filter: DeadLetterFilter, decision: BulkDecision): Promise<Decided>
  /**
   * Replaces the data and redrives; the id of the message stays. With `redrive: false` it stays a dead letter.
   *
   * @throws {MessagingError} `ERR_DEAD_LETTER_UNKNOWN`, `ERR_DEAD_LETTER_UNDECODABLE`
   * @throws {RangeError} for an id that is no whole number from 1
   * @throws {TypeError} for data that JSON cannot hold
   */
  edit(id: number, data: unknown, decision: Decision & { redrive?: boolean }): Promise<void>
  /** How each group stands. */
  stats(): Promise<ParkedStats[]>
  /** The latest decisions about any dead letter, newest first, up to `limit`, a whole number from 1, default 100. */
  history(limit?: number): Promise<AuditRecord[]>
}

/** Dead letters decided in one transaction. */
const CHUNK = 200

/** The dead letters of a service's database, of its consumers and of its relay. Safe to use beside the running service. */
export function deadLetters(database: Database, options: { world?: World } = {}): DeadLetters {
  const { world = systemWorld } = options
  const store = database.store(deadLettersPort)
  const queue = database.store(keyQueuePort)

  /** Decides about all that match now; what dies meanwhile, as one behind a discarded one may, is for the next decision. */
  async function decide(action: 'redrive' | 'discard', filter: DeadLetterFilter, decision: BulkDecision): Promise<Decided> {
    assertSaysWhich(action, filter)
    const { dryRun = false } = decision
    const now = await database.read((tx) => matching(store, tx, filter))
    if (dryRun) return { ids: [...now.keys()], dryRun }
    const ids: number[] = []
    for (let last = 0, more = true; more; ) {
      const chunk = async (tx: Transaction) => {
        const found = await store.find(tx, filter, last, CHUNK)
        const decided: number[] = []
        for (const letter of found)
          if (now.get(letter.position) === letter.revision && (await decideOne(tx, action, letter, decision))) decided.push(letter.position)
        return { found, decided }
      }
      const { found, decided } = await database.transaction(chunk)
      ids.push(...decided)
      last = found.at(-1)?.position ?? last
      more = found.length === CHUNK
    }
    return { ids, dryRun }
  }

  /** Says whether it was decided; false when somebody else was faster. */
  async function decideOne(tx: Transaction, action: 'redrive' | 'discard', letter: ParkedMessage, decision: Decision): Promise<boolean> {
    if (!(await queue.claim(tx, letter))) return false
    const now = world.now()
    await store.audit(tx, auditOf(letter, action, decision, now))
    if (action === 'discard') await queue.remove(tx, letter, now)
    else await queue.save(tx, letter.position, after(letter.parking, { kind: 'redriven' }, now, DEFAULT_RETRY))
    return true
  }

  return {
    async list({ limit = 100, after: last = 0, ...filter } = {}) {
      checkOptions('list dead letters', { limit })
      const found = await database.read((tx) => store.find(tx, filter, last, limit))
      return found.map(letterOf)
    },
    async show(id) {
      checkOptions('show a dead letter', { id })
      return database.read(async (tx) => {
        const message = oneOf(await store.find(tx, { id }, 0, 1), id)
        const followers = await store.followers(tx, message.group, message.lane)
        return { ...letterOf(message), followers, history: await store.history(tx, id, 100) }
      })
    },
    redrive: (filter, decision) => decide('redrive', filter, decision),
    discard: (filter, decision) => decide('discard', filter, decision),
    async edit(id, data, { redrive = true, ...decision }) {
      checkOptions('edit a dead letter', { id })
      return database.transaction(async (tx) => {
        const message = oneOf(await store.find(tx, { id }, 0, 1), id)
        const raw = edited(message, data)
        const now = world.now()
        if (!(await queue.claim(tx, message))) throw unknownLetter(id)
        await store.audit(tx, auditOf(message, 'edit', decision, now))
        const parking = redrive ? after(message.parking, { kind: 'redriven' }, now, DEFAULT_RETRY) : message.parking
        await queue.save(tx, id, parking, raw)
      })
    },
    stats: () => database.read((tx) => store.stats(tx)),
    async history(limit = 100) {
      checkOptions('list decisions about dead letters', { limit })
      return database.read((tx) => store.history(tx, undefined, limit))
    },
  }
}

/** Who looked for one and has not found it does not mean all. */
function assertSaysWhich(action: string, filter: DeadLetterFilter): void {
  const names = Object.keys(filter)
  const { id, group, type, key, reason } = filter
  if (names.length === 0 || [id, group, type, key, reason].some((value) => value !== undefined && value !== null)) return
  const wanted = 'wanted an id, group, type, key or reason, or {} for all'
  throw new TypeError(`cannot ${action}: the filter says nothing by "${names.join(', ')}", ${wanted}`)
}

/** The revisions of all that match, by position. Clocks have no say: they may be set back between a failure and a decision. */
async function matching(store: DeadLetterStore, tx: ReadTransaction, filter: DeadLetterFilter): Promise<Map<number, number>> {
  const all = new Map<number, number>()
  for (let last = 0, more = true; more; ) {
    const found = await store.find(tx, filter, last, CHUNK)
    for (const { position, revision } of found) all.set(position, revision)
    last = found.at(-1)?.position ?? last
    more = found.length === CHUNK
  }
  return all
}

function letterOf(message: ParkedMessage): DeadLetter {
  const { position: id, group, type, key, traceId, raw } = message
  const { attempts, failure } = deadOf(message)
  const envelope = readable(raw)
  return { id, group, type, key, messageId: envelope?.id ?? message.messageId, ...failure, attempts, traceId, envelope, raw }
}

function deadOf({ parking, position }: ParkedMessage): { attempts: number; failure: Failure } {
  if (parking.kind === 'dead') return parking
  throw new Error(`the store gave message ${position} as a dead letter, and it is "${parking.kind}"`)
}

function readable(raw: string): Envelope | undefined {
  try {
    return decodeEnvelope(raw)
  } catch (error) {
    // That is what some dead letters are about; `raw` has the text.
    if (error instanceof EnvelopeError) return undefined
    throw error
  }
}

function oneOf([message]: readonly ParkedMessage[], id: number): ParkedMessage {
  if (message) return message
  throw unknownLetter(id)
}

function unknownLetter(id: number): MessagingError {
  return new MessagingError('ERR_DEAD_LETTER_UNKNOWN', `there is no dead letter ${id}; it may have been redriven or discarded`, {
    status: 404,
  })
}

function editable({ raw, position }: ParkedMessage): Envelope {
  const envelope = readable(raw)
  if (envelope) return envelope
  throw new MessagingError('ERR_DEAD_LETTER_UNDECODABLE', `dead letter ${position} cannot be edited: it is not an event; discard it`, {
    status: 409,
  })
}

function edited(message: ParkedMessage, data: unknown): string {
  const envelope = editable(message)
  const action = `cannot edit dead letter ${message.position}`
  let raw: string
  try {
    raw = encodeEnvelope({ ...envelope, data })
  } catch (cause) {
    throw new TypeError(`${action}: the data cannot be written as JSON: ${messageOf(cause)}`, { cause })
  }
  // JSON leaves out what it has no word for: the event would have no data at all.
  if (decodeEnvelope(raw).data === undefined) throw new TypeError(`${action}: the data is ${typeof data}, wanted what JSON can hold`)
  return raw
}

function auditOf(
  { position, group, messageId, raw }: ParkedMessage,
  action: AuditRecord['action'],
  { by, reason }: Decision,
  at: number,
): AuditRecord {
  return { deadLetter: position, action, by, why: reason, at, group, messageId: readable(raw)?.id ?? messageId, raw }
}
