import { type Envelope, type EventType, event, type Schema } from '@banyan/core'

export interface Seat {
  id: string
  n: number
}

const schema: Schema<Seat> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      // The test's own schema: checked by the line below.
      const seat = value as Partial<Seat> | undefined
      if (typeof seat?.id === 'string' && typeof seat.n === 'number') return { value: { id: seat.id, n: seat.n } }
      return { issues: [{ message: 'is not a seat', path: ['id'] }] }
    },
  },
}

export const seatTaken: EventType<'seat.taken', Schema<Seat>> = event('seat.taken', { schema, key: ({ id }) => id })
export const seatFreed: EventType<'seat.freed', Schema<Seat>> = event('seat.freed', { schema, key: ({ id }) => id })

/** An envelope as another service would have sent it. */
export function taken(id: string, n: number, more: Partial<Envelope> = {}): Envelope {
  return {
    specversion: '1.0',
    id: `${id}-${n}`,
    source: 'box-office',
    type: 'seat.taken',
    subject: id,
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    dataschema: 'seat.taken/1',
    data: { id, n },
    ...more,
  }
}
