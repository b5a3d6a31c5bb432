import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type FlowState, openFlags, type SeenEvent } from './flow-state.ts'
import { after } from './flow-transition.ts'
import { chain, checkout, MINUTE } from './test/flow-events.ts'

const GRACE = 30_000
const START = 1_000_000

/** Whether the flow of `test/flow-events.ts` declares this sequence, written as a pattern of first letters. */
const LETTERS: Record<string, string> = {
  ...{ placed: 'P', reserved: 'R', short: 'S', checked: 'C', scanned: 'N', paid: 'M' },
  ...{ shipped: 'G', collected: 'G', rejected: 'X', cancelled: 'X' },
}
const GOES_ON = 'R(C?N*|N+C?N*)M'
/** All prefixes of the way may be left by a way out. */
const DECLARED = new RegExp(`^P(${GOES_ON}(G|X)|X|SX|RX|R(C?N*|N+C?N*)X)$`)

function isDeclared(types: readonly string[]): boolean {
  return DECLARED.test(types.map((type) => LETTERS[type]).join(''))
}

const declared = fc
  .tuple(
    fc.constantFrom('goal', 'out', 'detour'),
    fc.shuffledSubarray(['checked', 'scanned', 'scanned', 'scanned']),
    fc.nat(3),
    fc.boolean(),
  )
  .map(([ending, maybes, length, first]) => {
    const way = ['placed', 'reserved', ...maybes, 'paid']
    if (ending === 'goal') return [...way, first ? 'shipped' : 'collected']
    if (ending === 'detour') return ['placed', 'short', first ? 'rejected' : 'cancelled']
    return [...way.slice(0, Math.max(1, Math.min(length + 1, way.length))), first ? 'rejected' : 'cancelled']
  })

/** Anything: a declared path with changes, or a random one. */
const anything = fc.oneof(
  fc.array(fc.constantFrom(...Object.keys(LETTERS)), { minLength: 1, maxLength: 8 }),
  fc
    .tuple(
      declared,
      fc.array(fc.tuple(fc.constantFrom('drop', 'add', 'swap'), fc.nat(8), fc.constantFrom(...Object.keys(LETTERS))), { maxLength: 2 }),
    )
    .map(([path, changes]) => {
      const types = [...path]
      for (const [change, at, type] of changes) {
        const index = at % types.length
        if (change === 'drop' && types.length > 1) types.splice(index, 1)
        if (change === 'add') types.splice(index, 0, type)
        if (change === 'swap') types.push(...types.splice(index, 1))
      }
      return types
    }),
)

/** Follows the events as they arrive, `gapMs` apart, wakes the flow whenever it asks to be, and tells the flags at the end. */
function flagsOf(arrivals: readonly Omit<SeenEvent, 'seenAt'>[], gapMs: number) {
  let state: FlowState | undefined
  let now = START
  const wakeUntil = (until: number) => {
    while (state && state.status !== 'ignored' && state.wakeAt !== undefined && state.wakeAt <= until)
      state = after(checkout, state, { kind: 'woke' }, { now: state.wakeAt, graceMs: GRACE }).state
  }
  let raised = 0
  for (const event of arrivals) {
    now += gapMs
    wakeUntil(now)
    const change = after(checkout, state, { kind: 'seen', event: { ...event, seenAt: now }, follows: true }, { now, graceMs: GRACE })
    state = change.state
    raised += change.raised.length
  }
  wakeUntil(now + 60 * MINUTE)
  if (!state) throw new Error('no event arrived')
  return { open: openFlags(state), raised }
}

const arrival = <T>(events: readonly T[], order: readonly number[]): T[] =>
  events
    .map((event, index) => ({ event, at: order[index] ?? 0 }))
    .sort((one, other) => one.at - other.at)
    .map(({ event }) => event)

it('never flags a declared path, in whatever order it arrives within the grace', () => {
  fc.assert(
    fc.property(declared, fc.array(fc.nat(1_000), { minLength: 8, maxLength: 8 }), fc.nat(3_000), (types, order, gapMs) => {
      expect(isDeclared(types)).toBe(true)
      const { open, raised } = flagsOf(arrival(chain(types), order), gapMs)
      expect({ types, open, raised }).toEqual({ types, open: [], raised: 0 })
    }),
    { numRuns: 2_000 },
  )
})

it('flags a path if and only if nobody declared it, in whatever order it arrives', () => {
  fc.assert(
    fc.property(anything, fc.array(fc.nat(1_000), { minLength: 12, maxLength: 12 }), (types, order) => {
      const { open } = flagsOf(arrival(chain(types), order), 1_000)
      expect({ types, flagged: open.length > 0 }).toEqual({ types, flagged: !isDeclared(types) })
    }),
    { numRuns: 5_000 },
  )
})
