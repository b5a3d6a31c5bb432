import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { takingTurns } from './turns.ts'

interface Thing {
  readonly kind: string
  readonly n: number
}

const LIMITS: Readonly<Record<string, number | undefined>> = { a: undefined, b: 1, c: 2 }
const kindOf = ({ kind }: Thing) => ({ name: kind, most: LIMITS[kind] })
const things = (kind: string, count: number): Thing[] => Array.from({ length: count }, (_, n) => ({ kind, n }))

describe('turns', () => {
  it('give each kind its turn when slots come free one by one, however long the line of another is', () => {
    const turns = takingTurns<Thing>({ concurrency: 4, kindOf })
    for (const one of things('a', 1_000)) turns.add(one)
    const holding = [turns.next(), turns.next(), turns.next(), turns.next()]
    turns.add({ kind: 'c', n: 0 })
    expect(holding.map((one) => one?.n)).toEqual([0, 1, 2, 3])
    expect(turns.next()).toBeUndefined()
    if (holding[0]) turns.ended(holding[0])
    expect(turns.next()).toEqual({ kind: 'c', n: 0 })
  })

  it('come round: what gets in line anew for each step has as many turns as the others, give or take one', () => {
    const turns = takingTurns<Thing>({ concurrency: 3, kindOf })
    const had = new Map<Thing, number>()
    for (const one of things('a', 50)) turns.add(one)
    for (let step = 0; step < 1_234; step += 1) {
      const one = turns.next()
      if (!one) throw new Error('nobody is next')
      had.set(one, (had.get(one) ?? 0) + 1)
      turns.ended(one)
      turns.add(one)
    }
    expect(had.size).toBe(50)
    expect(Math.max(...had.values()) - Math.min(...had.values())).toBeLessThanOrEqual(1)
  })

  it('keep the order of a line that was longer than what is cut off at once', () => {
    const turns = takingTurns<Thing>({ concurrency: 1, kindOf })
    const seen: number[] = []
    let added = 0
    while (seen.length < 20_000) {
      for (let n = 0; n < 3 && added < 20_000; n += 1) turns.add({ kind: 'a', n: added++ })
      const one = turns.next()
      if (one) seen.push(one.n)
      if (one) turns.ended(one)
    }
    expect(seen).toEqual(Array.from({ length: 20_000 }, (_, n) => n))
  })
})

// Beside it a naive model: one list for all, looked through from its beginning.
type Event = { readonly kind: 'add'; readonly of: string } | { readonly kind: 'next' | 'end' | 'clear'; readonly at: number }

const events: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), of: fc.constantFrom('a', 'b', 'c') }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('next' as const, 'end' as const), at: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), at: fc.constant(0) }) },
)

it('turns keep every limit, lose nothing, and pass over nobody who may run', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(events, { maxLength: 200 }), (concurrency, all) => {
      const turns = takingTurns<Thing>({ concurrency, kindOf })
      let line: Thing[] = []
      const holding: Thing[] = []
      /** When each kind was last served: who waits longest for it is next. */
      const served = new Map<string, number>()
      const seen: string[] = []
      const mayRun = ({ kind }: Thing) => holding.filter((one) => one.kind === kind).length < (LIMITS[kind] ?? concurrency)
      for (const [n, event] of all.entries()) {
        if (event.kind === 'add') {
          const one = { kind: event.of, n }
          if (!seen.includes(event.of)) seen.push(event.of)
          line.push(one)
          turns.add(one)
        } else if (event.kind === 'clear') {
          line = []
          turns.clear()
        } else if (event.kind === 'end' && holding.length > 0) {
          const [one] = holding.splice(event.at % holding.length, 1)
          if (one) turns.ended(one)
        } else if (event.kind === 'next') {
          const candidates = holding.length < concurrency ? line.filter(mayRun) : []
          const rank = ({ kind }: Thing) => served.get(kind) ?? -1 - seen.indexOf(kind)
          const wanted = candidates.toSorted((one, other) => rank(one) - rank(other) || one.n - other.n)[0]
          expect(turns.next()).toEqual(wanted)
          if (!wanted) continue
          served.set(wanted.kind, n)
          line = line.filter((one) => one !== wanted)
          holding.push(wanted)
        }
        expect(turns.waiting()).toBe(line.length)
      }
    }),
    { numRuns: 2_000 },
  )
})
