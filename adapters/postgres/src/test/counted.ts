import type { Envelope } from '@banyan/core'

// Events that a test counts. Not published.

/** The numbers from one to another, both included. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** Event number `n`; all have one key, and so an order. */
export function counted(n: number): Envelope {
  return {
    specversion: '1.0',
    id: `e${n}`,
    source: 'test',
    type: 'counted',
    subject: 'a',
    time: '2026-01-01T00:00:00Z',
    datacontenttype: 'application/json',
    dataschema: 'counted/1',
    data: { n },
  }
}

/** The number of such an event. */
export function countOf(envelope: Envelope | undefined): number {
  return Number(envelope?.id.slice(1))
}
