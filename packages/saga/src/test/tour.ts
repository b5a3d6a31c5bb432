// A saga of all constructs, for the crash tests: a tour that has guides, seats, a word from the customer, and a booking inside.
import { event, type Schema } from '@banyan/core'
import { type Saga, saga } from '../index.ts'
import type { PartnerCalls, Trip } from './travel-agency.ts'

const schema: Schema<Trip> = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Trip }) } }

export const wordGiven = event('word.given', { schema, key: ({ n }) => `tour ${n}` })

/** Trips from here on are those that a tour books inside. */
export const INSIDE = 10_000

export function tourWith(call: PartnerCalls, booking: Saga<Trip, { flight: string }>): Saga<Trip, { flight: string }> {
  const retry = { attempts: 6, baseMs: 5, capMs: 40 }
  const undoRetry = { baseMs: 5, capMs: 40 }
  return saga<Trip>('tour', { version: 1, key: ({ n }) => `tour ${n}` })
    .together((group) =>
      group
        .step('guide', { do: (c) => call.make(c, 'guide'), undo: (c) => call.cancel(c, 'guide'), retry, undoRetry })
        .step('bus', { do: (c) => call.make(c, 'bus'), undo: (c) => call.cancel(c, 'bus'), retry, undoRetry }),
    )
    .each('seats', (c) => Array.from({ length: c.input.n % 3 }, (_, seat) => seat), {
      do: (c, seat) => call.make(c, `seat ${seat}`),
      undo: (c, seat) => call.cancel(c, `seat ${seat}`),
      retry,
      undoRetry,
    })
    .sleep('rest', 20)
    .wait('word', { for: wordGiven, where: (c) => `tour ${c.input.n}`, withinMs: 300_000, otherwise: 'undo' })
    .when(
      'wantsMeal',
      (c) => c.word.n % 2 === 0,
      (branch) => branch.step('meal', { do: (c) => call.make(c, 'meal'), undo: (c) => call.cancel(c, 'meal'), retry, undoRetry }),
    )
    .child('inside', booking, {
      input: (c) => ({ n: INSIDE + c.input.n }),
      undo: (c) => call.cancel(c, 'inside'),
      undoRetry: { attempts: 1_000, baseMs: 20, capMs: 100 },
    })
    .pivot('confirm', {
      local: async (tx, c) => void (await tx.sql`insert into effects (trip, what) values (${c.input.n}, 'tour confirmed')`),
    })
    .step('mail', { do: (c) => call.make(c, 'tour mail'), retry })
    .done((c) => ({ flight: c.inside.flight }))
}
