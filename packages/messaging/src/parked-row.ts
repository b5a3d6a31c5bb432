import type { Failure, Parking } from './parking.ts'
import type { ParkedMessage } from './ports.ts'

/** A row of `banyan_key_queue`, with the columns that every database gives it. Times in milliseconds since 1970. */
export interface ParkedRow {
  position: number
  grp: string
  lane: string
  message_id: string
  type: string | null
  key: string | null
  raw: string
  trace_id: string | null
  state: Parking['kind']
  attempts: number
  due_at: number | null
  reason: Failure['reason'] | null
  code: string | null
  message: string | null
  stack: string | null
  first_at: number | null
  last_at: number | null
  parked_at: number
  revision: number
}

/**
 * The message of a row.
 *
 * @throws when the row is dead and has no reason, which no store writes
 */
export function parkedMessageOf(row: ParkedRow): ParkedMessage {
  return {
    position: row.position,
    group: row.grp,
    lane: row.lane,
    messageId: row.message_id,
    type: row.type ?? undefined,
    key: row.key ?? undefined,
    raw: row.raw,
    traceId: row.trace_id ?? undefined,
    parking: parkingOf(row),
    revision: row.revision,
    parkedAt: row.parked_at,
  }
}

/** What the columns of a row say of how its message stands. */
export interface ParkingColumns {
  readonly kind: Parking['kind']
  readonly attempts: number
  readonly dueAt: number | null
  readonly failure: Failure | undefined
}

/** How a message stands, as columns; {@link parkedMessageOf} reads them back. */
export function columnsOf(parking: Parking): ParkingColumns {
  switch (parking.kind) {
    case 'waiting':
      return { kind: parking.kind, attempts: 0, dueAt: null, failure: undefined }
    case 'due':
      return parking
    case 'dead':
      return { ...parking, dueAt: null }
  }
}

function parkingOf(row: ParkedRow): Parking {
  const { state, attempts } = row
  const failure = failureOf(row)
  if (state === 'waiting') return { kind: 'waiting' }
  if (state === 'due') return { kind: 'due', attempts, dueAt: row.due_at ?? 0, failure }
  if (!failure) throw new Error(`row ${row.position} of banyan_key_queue is dead and has no reason`)
  return { kind: 'dead', attempts, failure }
}

function failureOf({ reason, code, message, stack, first_at, last_at }: ParkedRow): Failure | undefined {
  if (reason === null || first_at === null || last_at === null) return undefined
  return { reason, code: code ?? undefined, message: message ?? '', stack: stack ?? undefined, firstAt: first_at, lastAt: last_at }
}
