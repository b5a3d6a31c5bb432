import { describe, expect, it } from 'vitest'
import { type Flow, flow } from './flow.ts'
import { type FlowFlag, type FlowState, type Followed, openFlags, type SeenEvent } from './flow-state.ts'
import { acknowledged, after } from './flow-transition.ts'
import { chain, checkout, MINUTE, paid, placed, rejected, reserved, scanned, shipped, short } from './test/flow-events.ts'

const GRACE = 30_000
const START = 1_000_000

/** Sees events at their times, then lets time pass to `until`, waking whenever the flow asks for it. */
function follow(events: readonly Omit<SeenEvent, 'seenAt'>[], until = START, flow: Flow = checkout) {
  let state: FlowState | undefined
  const raised: FlowFlag[] = []
  const move = (happening: Parameters<typeof after>[2], now: number) => {
    const change = after(flow, state, happening, { now, graceMs: GRACE })
    state = change.state
    raised.push(...change.raised)
  }
  for (const event of events) move({ kind: 'seen', event: { ...event, seenAt: event.time }, follows: true }, event.time)
  for (let at = wakeOf(state); at !== undefined && at <= until; at = wakeOf(state)) move({ kind: 'woke' }, at)
  return { state: followed(state), raised, kinds: raised.map(({ kind, event }) => `${kind} ${event}`) }
}

function wakeOf(state: FlowState | undefined): number | undefined {
  return state && state.status !== 'ignored' ? state.wakeAt : undefined
}

function followed(state: FlowState | undefined): Followed {
  if (!state || state.status === 'ignored') throw new Error('wanted a flow that is followed')
  return state
}

const LATER = START + 60 * MINUTE

describe('a flow', () => {
  it('that goes as declared ends, without a flag and without waiting for anything', () => {
    const { state, raised } = follow(chain(['placed', 'reserved', 'scanned', 'scanned', 'paid', 'shipped']), LATER)
    expect(state).toMatchObject({ status: 'ended', standsAt: 'shipped', wakeAt: undefined })
    expect(raised).toEqual([])
  })

  it.each([
    ['another goal', ['placed', 'reserved', 'paid', 'collected']],
    ['a detour', ['placed', 'short', 'rejected']],
    ['a way out at any time', ['placed', 'reserved', 'cancelled']],
  ])('may take %s', (_what, types) => {
    expect(follow(chain(types), LATER)).toMatchObject({ kinds: [], state: { status: 'ended' } })
  })

  it('that stops is flagged with the event it stands at, after its time and the grace', () => {
    const events = chain(['placed', 'reserved'])
    const deadline = START + 5 * MINUTE + GRACE
    expect(follow(events, deadline - 1)).toMatchObject({ kinds: [], state: { status: 'running', wakeAt: deadline } })
    const { state, raised } = follow(events, deadline)
    expect(raised).toEqual([{ kind: 'stopped', event: 'reserved', detail: 'no end within 300000 ms, it stands at reserved', at: deadline }])
    expect(state).toMatchObject({ status: 'stopped', wakeAt: undefined })
  })

  it('that ends late keeps its flag, by the clocks of its publishers', () => {
    const [placed, reserved, paid, shipped] = chain(['placed', 'reserved', 'paid', 'shipped'])
    if (!placed || !reserved || !paid || !shipped) throw new Error('four events')
    const late = { ...shipped, time: START + 6 * MINUTE }
    expect(follow([placed, reserved, paid, late], LATER).raised).toMatchObject([
      { kind: 'stopped', event: 'shipped', detail: 'shipped came after 360000 ms, wanted 300000' },
    ])
  })

  it.each([
    ['a step left out', ['placed', 'paid', 'shipped'], ['undeclared paid']],
    ['an event twice', ['placed', 'reserved', 'reserved', 'paid', 'shipped'], ['undeclared reserved']],
    ['a step before the one it stands behind', ['placed', 'paid', 'reserved', 'shipped'], ['undeclared reserved']],
    ['both of two alternatives', ['placed', 'reserved', 'short', 'rejected'], ['undeclared short']],
    ['its way after a detour', ['placed', 'short', 'paid', 'rejected'], ['undeclared paid']],
    ['two ends', ['placed', 'reserved', 'paid', 'shipped', 'rejected'], ['ended-twice rejected']],
    ['one end twice', ['placed', 'reserved', 'paid', 'shipped', 'shipped'], ['ended-twice shipped']],
    ['a step after its end', ['placed', 'cancelled', 'reserved'], ['after-end reserved']],
    ['what may come after all of it', ['placed', 'reserved', 'paid', 'shipped', 'checked'], ['after-end checked']],
    ['no start', ['reserved', 'paid', 'shipped'], ['no-start reserved']],
    ['its start twice', ['placed', 'placed', 'short', 'rejected'], ['undeclared placed']],
  ])('with %s is flagged', (_what, types, kinds) => {
    expect(follow(chain(types), LATER).kinds).toEqual(kinds)
  })

  it.each([
    ['in their order', ['placed', 'short', 'scanned', 'rejected']],
    ['the second first', ['placed', 'scanned', 'short', 'rejected']],
  ])('that leaves its way twice is flagged, when the events arrive %s', (_what, arrival) => {
    const twice = flow('twice', { version: 1 })
      .starts(placed)
      .then(reserved)
      .otherwise(short)
      .then(paid)
      .otherwise(scanned)
      .ends(shipped, rejected)
      .withinMs(5 * MINUTE)
    const events = chain(['placed', 'short', 'scanned', 'rejected'])
    const arrived = arrival.flatMap((type) => events.filter((event) => event.type === type))
    expect(follow(arrived, LATER, twice).kinds).toEqual(['undeclared scanned'])
  })

  it.each([
    ['its end', ['placed', 'shipped', 'rejected']],
    ['the second end', ['placed', 'rejected', 'shipped']],
  ])('that ends in time, and later again, has not stopped, also where %s arrives first', (_what, arrival) => {
    const quick = flow('quick', { version: 1 })
      .starts(placed)
      .ends(shipped, rejected)
      .withinMs(5 * MINUTE)
    const events = chain(['placed', 'shipped', 'rejected']).map((event) =>
      event.type === 'rejected' ? { ...event, time: START + 10 * MINUTE } : event,
    )
    const arrived = arrival.flatMap((type) => events.filter((event) => event.type === type))
    expect(openFlags(follow(arrived, LATER, quick).state).map(({ kind }) => kind)).toEqual(['ended-twice'])
  })

  it('is flagged as long as something is missing, also when something else that was comes', () => {
    const [first, second, third, fourth] = chain(['placed', 'reserved', 'paid', 'shipped'])
    if (!first || !second || !third || !fourth) throw new Error('four events')
    const { state } = follow([first, fourth], LATER)
    const seen = (event: typeof first) => ({ kind: 'seen', event: { ...event, seenAt: LATER }, follows: true }) as const
    const paidCame = after(checkout, state, seen(third), { now: LATER, graceMs: GRACE })
    expect(openFlags(paidCame.state)).toMatchObject([{ kind: 'undeclared', event: 'shipped' }])
    expect(openFlags(after(checkout, paidCame.state, seen(second), { now: LATER, graceMs: GRACE }).state)).toEqual([])
  })

  it('is flagged for what is missing only after the grace, and the flag is cleared when it comes', () => {
    const [placed, reserved, paid] = chain(['placed', 'reserved', 'paid'])
    if (!placed || !reserved || !paid) throw new Error('three events')
    const early = follow([placed, paid], paid.time + GRACE - 1)
    expect(early).toMatchObject({ kinds: [], state: { wakeAt: paid.time + GRACE } })
    const { state, kinds } = follow([placed, paid], paid.time + GRACE)
    expect(kinds).toEqual(['undeclared paid'])
    const now = paid.time + 2 * GRACE
    const seen = { kind: 'seen', event: { ...reserved, seenAt: now }, follows: true } as const
    const change = after(checkout, state, seen, { now, graceMs: GRACE })
    expect(change.raised).toEqual([])
    expect(followed(change.state).flags).toMatchObject([{ kind: 'undeclared', event: 'paid', clearedAt: now }])
  })

  it('takes an event without a known cause for declared, unless it was published too long after what stands behind it', () => {
    const path = chain(['placed', 'reserved', 'paid', 'shipped']).map((event) => ({ ...event, cause: undefined }))
    const moved = (byMs: number) => path.map((event) => (event.type === 'reserved' ? { ...event, time: event.time + byMs } : event))
    expect(follow(moved(GRACE + 1_000), LATER).kinds).toEqual([])
    expect(follow(moved(GRACE + 1_001), LATER).kinds).toEqual(['undeclared reserved'])
  })

  it('that its start says is not followed is let pass, also when other events came first', () => {
    const [placed, reserved] = chain(['placed', 'reserved'])
    if (!placed || !reserved) throw new Error('two events')
    const times = { now: START, graceMs: GRACE }
    const first = after(checkout, undefined, { kind: 'seen', event: { ...reserved, seenAt: START }, follows: true }, times)
    const second = after(checkout, first.state, { kind: 'seen', event: { ...placed, seenAt: START }, follows: false }, times)
    expect(second.state).toEqual({ status: 'ignored' })
    expect(after(checkout, second.state, { kind: 'seen', event: { ...reserved, seenAt: START }, follows: true }, times).state).toBe(
      second.state,
    )
  })

  it('keeps a bounded number of events, and the first of each type', () => {
    const scans = Array.from({ length: 300 }, () => 'scanned')
    const { state, kinds } = follow(chain(['placed', 'reserved', ...scans]), START)
    expect([state.events.length, state.more, kinds]).toEqual([200, 102, []])
    const end = { id: 'end', type: 'cancelled', time: START + 400_000, cause: 'placed-0', seenAt: START }
    const ended = after(checkout, state, { kind: 'seen', event: end, follows: true }, { now: START, graceMs: GRACE })
    expect(ended.state.status).toBe('ended')
  })

  it.each([
    ['an end that comes twice', ['shipped', 'shipped'], ['ended-twice shipped']],
    ['what comes after its end', ['shipped', 'scanned'], ['after-end scanned']],
    ['an event that may come once', ['paid', 'shipped'], ['undeclared paid']],
  ])('that has more events than are kept is flagged for %s', (_what, last, kinds) => {
    const scans = Array.from({ length: 300 }, () => 'scanned')
    const events = chain(['placed', 'reserved', ...scans, 'paid', ...last]).map((event) => ({ ...event, time: START }))
    const { state, kinds: found } = follow(events)
    expect(found).toEqual(kinds)
    expect(state.events.length).toBeLessThan(210)
  })

  it('takes events of two publishers that count alike for two', () => {
    const [start, one] = chain(['placed', 'reserved'])
    if (!start || !one) throw new Error('two events')
    const numbered = [
      { ...start, id: '1', source: 'orders', cause: undefined },
      { ...one, id: '1', source: 'inventory', cause: undefined },
      { ...one, id: '1', source: 'another inventory', cause: undefined },
    ]
    const { state, kinds } = follow(numbered)
    expect(state.events).toHaveLength(3)
    expect(kinds).toEqual(['undeclared reserved'])
  })

  it('knows an event again that a version before stored without its source', () => {
    const [start, one] = chain(['placed', 'reserved'])
    if (!start || !one) throw new Error('two events')
    const { state, kinds } = follow([start, one, { ...one, source: 'inventory' }])
    expect(state.events).toHaveLength(2)
    expect(kinds).toEqual([])
  })

  it('changes nothing when an event comes again', () => {
    const [placed] = chain(['placed'])
    if (!placed) throw new Error('one event')
    expect(follow([placed, placed]).state.events).toHaveLength(1)
  })
})

describe('acknowledged', () => {
  it('marks open flags, of one kind where it is given, and a flag that was acknowledged is not raised again', () => {
    const { state } = follow(chain(['placed', 'paid', 'shipped', 'rejected']), LATER)
    const note = { by: 'ada', why: 'a test order', at: 5 }
    const { state: noted, flags } = acknowledged(state, 'ended-twice', note)
    expect(flags.map(({ kind, event }) => [kind, event])).toEqual([['ended-twice', 'rejected']])
    expect(acknowledged(noted, undefined, note).flags.map(({ kind }) => kind)).toEqual(['undeclared'])
    const woke = after(checkout, noted, { kind: 'woke' }, { now: LATER, graceMs: GRACE })
    expect(woke.raised).toEqual([])
    expect(followed(woke.state).flags.filter(({ acknowledged }) => acknowledged)).toHaveLength(1)
  })
})
