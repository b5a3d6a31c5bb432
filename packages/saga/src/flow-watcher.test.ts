import { type ComponentContext, type Envelope, type Logger, manualWorld } from '@banyan/core'
import { sqlite } from '@banyan/sqlite'
import { metrics } from '@opentelemetry/api'
import { afterEach, describe, expect, it } from 'vitest'
import { flow } from './flow.ts'
import { type FlowWatcherOptions, watchFlows } from './flow-watcher.ts'
import { flows } from './flows.ts'
import { broughtBus } from './test/brought-bus.ts'
import { chain, checked, checkout, MINUTE, paid, placed, reserved, shipped } from './test/flow-events.ts'

/** A watcher, and a bus that brings what the test says. */
async function setUp(watched = [checkout], options: FlowWatcherOptions = {}, error: Logger['error'] = failTest) {
  const world = manualWorld()
  const logged: { message: string; fields: object }[] = []
  const log: Logger = { debug() {}, info() {}, warn: (fields, message) => void logged.push({ message, fields }), error }
  const database = sqlite(':memory:', { name: 'orders', world, log })
  const { bus, bring: deliver, group } = broughtBus()
  const context: ComponentContext = { service: 'orders', instanceId: 'orders-1', world, log, database, bus }
  const start = async (flowsToWatch = watched) => {
    const watcher = watchFlows(flowsToWatch, options)
    await watcher.start(context)
    return watcher
  }
  return { world, database, logged, start, deliver, people: flows(database), watcher: await start(), group }
}

function failTest(fields: object, message: string): never {
  throw new Error(`logged an error: ${message} ${JSON.stringify(fields)}`)
}

/** The events of an order, as their publishers would have sent them. */
function eventsOf(order: string, types: readonly string[], more: { by?: string } = {}): Envelope[] {
  return chain(types, Date.UTC(2026, 0, 1)).map(({ id, type, time, cause }) => ({
    ...({ specversion: '1.0', source: 'test', datacontenttype: 'application/json', subject: order } as const),
    ...{ id: `${order} ${id}`, type, time: new Date(time).toISOString(), dataschema: `${type}/1`, data: { id: order, ...more } },
    ...{ correlationid: order, causationid: `${order} ${cause}` },
  }))
}

/** Has all counters count into a map, by name, flow and flag. */
function countInto(counts: Map<string, number>): Map<string, number> {
  const noop = metrics.getMeterProvider().getMeter('none')
  const createCounter = (name: string) => ({
    add(value: number, attributes: Record<string, string> = {}) {
      const key = [name, attributes['banyan.flow'], attributes['banyan.flag']].filter(Boolean).join(' ')
      counts.set(key, (counts.get(key) ?? 0) + value)
    },
  })
  metrics.setGlobalMeterProvider({ getMeter: () => Object.assign(Object.create(noop) as typeof noop, { createCounter }) })
  return counts
}

afterEach(() => metrics.disable())

const GOOD = ['placed', 'reserved', 'paid', 'shipped']

describe('watchFlows', () => {
  it('follows each order to its end, whatever the order of arrival and however often events come', async () => {
    const { world, deliver, people, logged, group } = await setUp()
    const [one, other] = [eventsOf('o1', GOOD), eventsOf('o2', ['placed', 'short', 'rejected'])]
    await deliver(...one.toReversed(), ...other, ...one)
    await world.advance(10 * MINUTE)
    const found = await people.list()
    expect(found.map(({ correlationId, status, standsAt, open }) => [correlationId, status, standsAt, open]).sort()).toEqual([
      ['o1', 'ended', 'shipped', []],
      ['o2', 'ended', 'rejected', []],
    ])
    expect((await people.show({ flow: 'checkout', correlationId: 'o1' })).events.map(({ type }) => type)).toEqual(GOOD)
    expect(logged).toEqual([])
    expect(group()).toBe('orders/flows')
  })

  it('flags a flow that stops, once, with a log line, also when the watcher was restarted meanwhile', async () => {
    const { world, deliver, people, logged, watcher, start } = await setUp()
    await deliver(...eventsOf('o1', ['placed', 'reserved']), ...eventsOf('o2', GOOD))
    await world.advance(2 * MINUTE)
    await watcher.stop()
    expect(await watcher.health?.()).toEqual({ healthy: false, detail: 'not started' })
    await world.advance(10 * MINUTE)
    expect(logged).toEqual([])
    const [first, second] = [await start(), await start()]
    await world.advance(2_000)
    expect(logged).toEqual([
      {
        message: 'a flow does not go as declared: no end within 300000 ms, it stands at reserved',
        fields: { flow: 'checkout', correlationId: 'o1', flag: 'stopped', event: 'reserved' },
      },
    ])
    expect(await people.list({ flag: 'stopped' })).toMatchObject([{ correlationId: 'o1', status: 'stopped', standsAt: 'reserved' }])
    await Promise.all([first.stop(), second.stop()])
  })

  it('follows events of publishers that count alike', async () => {
    const { world, deliver, people, logged } = await setUp()
    const sources = ['orders', 'stock', 'money', 'post']
    await deliver(
      ...eventsOf('o1', GOOD).map((envelope, index) => ({ ...envelope, id: '1', source: sources[index] ?? '', causationid: '1' })),
    )
    await world.advance(10 * MINUTE)
    expect(await people.list()).toMatchObject([{ status: 'ended', standsAt: 'shipped', open: [] }])
    expect(logged).toEqual([])
  })

  it('lets orders pass that are not to be followed', async () => {
    const { world, deliver, people } = await setUp()
    await deliver(...eventsOf('o1', ['placed', 'shipped'], { by: 'saga' }).toReversed())
    await world.advance(10 * MINUTE)
    expect(await people.list()).toMatchObject([{ correlationId: 'o1', status: 'ignored', open: [] }])
  })

  it('shows what happened, and keeps who acknowledged a flag', async () => {
    const { world, deliver, people } = await setUp()
    await deliver(...eventsOf('o1', [...GOOD, 'rejected']))
    const key = { flow: 'checkout', correlationId: 'o1' }
    expect((await people.show(key)).open).toMatchObject([{ kind: 'ended-twice', event: 'rejected' }])
    await expect(people.acknowledge(key, { by: 'ada', reason: 'known', flag: 'stopped' })).rejects.toMatchObject({ code: 'ERR_FLOW_STATE' })
    await world.advance(1_000)
    expect(await people.acknowledge(key, { by: 'ada', reason: 'known' })).toMatchObject({ status: 'ended', open: [] })
    const decision = { ...key, flag: 'ended-twice', event: 'rejected', by: 'ada', why: 'known', at: world.now() }
    expect(await people.decisions()).toEqual([decision])
    expect(await people.show(key)).toMatchObject({ open: [], flags: [{ acknowledged: { by: 'ada' } }], decisions: [decision] })
    await expect(people.acknowledge(key, { by: 'ada', reason: 'known' })).rejects.toMatchObject({ code: 'ERR_FLOW_STATE' })
    await expect(people.show({ ...key, correlationId: 'o9' })).rejects.toMatchObject({ code: 'ERR_FLOW_UNKNOWN' })
    await expect(people.acknowledge(key, { by: '', reason: 'known' })).rejects.toThrow(TypeError)
    await expect(people.list({ limit: 0 })).rejects.toThrow(RangeError)
    await expect(people.decisions(undefined, -1)).rejects.toThrow(
      'cannot list decisions: "limit" is -1, wanted a whole number from 1 to 10000',
    )
  })

  it('forgets flows that need nobody after their retention, flagged ones later', async () => {
    const { world, deliver, people, watcher } = await setUp([checkout], { retentionMs: 5 * MINUTE, flaggedRetentionMs: 10 * MINUTE })
    await deliver(...eventsOf('good', GOOD), ...eventsOf('bad', [...GOOD, 'rejected']))
    const ids = async () => (await people.list()).map(({ correlationId }) => correlationId).sort()
    await world.advance(5 * MINUTE)
    expect(await ids()).toEqual(['bad', 'good'])
    await world.advance(1.1 * MINUTE)
    expect(await ids()).toEqual(['bad'])
    await world.advance(5 * MINUTE)
    expect(await ids()).toEqual([])
    await watcher.stop()
  })

  it('judges a flow by the version it began under, while it has that one', async () => {
    const { world, deliver, people, watcher, start } = await setUp()
    await deliver(...eventsOf('old', ['placed']))
    await watcher.stop()
    const next = flow('checkout', { version: 2 }).starts(placed).ends(shipped).withinMs(MINUTE)
    await start([checkout, next])
    await deliver(...eventsOf('new', ['placed', 'shipped']), ...eventsOf('old', ['placed', 'reserved', 'shipped']).slice(1))
    await world.advance(10 * MINUTE)
    const found = (await people.list()).map(({ correlationId, version, open }) => [correlationId, version, open.map(({ kind }) => kind)])
    expect(found.sort()).toEqual([
      ['new', 2, []],
      ['old', 1, ['undeclared']],
    ])
  })

  it('judges a flow by the version it began under again, where an instance that does not have that one took an event between', async () => {
    const { world, deliver, people, watcher, start } = await setUp()
    await watcher.stop()
    const next = flow('checkout', { version: 2 }).starts(placed).then(paid).ends(shipped).withinMs(MINUTE)
    const events = eventsOf('o1', ['placed', 'paid', 'shipped'])
    for (const [index, known] of [[checkout, next], [checkout], [checkout, next]].entries()) {
      const instance = await start(known)
      await deliver(...events.slice(index, index + 1))
      await instance.stop()
    }
    await start([checkout, next])
    await world.advance(10 * MINUTE)
    expect(await people.list()).toMatchObject([{ version: 2, status: 'ended', open: [] }])
  })

  it('begins a flow under the highest version that speaks of its first event, whatever comes first', async () => {
    const { world, deliver, people, watcher, start } = await setUp()
    await watcher.stop()
    const next = flow('checkout', { version: 2 }).starts(placed).then(checked).then(paid).ends(shipped).withinMs(MINUTE)
    await start([checkout, next])
    const events = eventsOf('old', GOOD)
    await deliver(...events.slice(1, 2), ...events.slice(0, 1), ...events.slice(2))
    await world.advance(10 * MINUTE)
    expect(await people.list()).toMatchObject([{ version: 1, status: 'ended', open: [] }])
  })

  it('forgets old flows, also while one whose time has come cannot be stored', async () => {
    const errors: string[] = []
    const { world, database, deliver, people, watcher } = await setUp(
      [checkout],
      { retentionMs: 1_000, flaggedRetentionMs: 1_000 },
      (_fields, message) => errors.push(message),
    )
    await database.transaction(
      (tx) => tx.sql`
      create trigger no_luck before update on banyan_flows when old.correlation_id = 'unlucky' begin select raise(abort, 'no luck'); end`,
    )
    await deliver(...eventsOf('unlucky', ['placed']))
    await world.advance(10 * MINUTE)
    await deliver(...eventsOf('good', GOOD))
    await world.advance(10 * MINUTE)
    expect((await people.list()).map(({ correlationId }) => correlationId)).toEqual(['unlucky'])
    expect(errors.length).toBeGreaterThan(0)
    await watcher.stop()
  })

  it('flags a flow that has stopped behind many whose time came before and who cannot be stored, each tried once in a look', async () => {
    let failed = 0
    const count = (fields: object) => {
      failed += 'flows' in fields ? Number(fields.flows) : 0
    }
    const { world, database, deliver, people, watcher } = await setUp([checkout], { pollMs: 60_000 }, count)
    await database.transaction(
      (tx) => tx.sql`
      create trigger no_luck before update on banyan_flows when old.correlation_id like 'unlucky%' begin select raise(abort, 'no luck'); end`,
    )
    for (let order = 0; order < 500; order += 1) await deliver(...eventsOf(`unlucky ${order}`, ['placed']))
    await world.advance(1_000)
    await deliver(...eventsOf('late', ['placed']))
    for (let minute = 0; minute < 7; minute += 1) await world.advance(MINUTE)
    await watcher.stop()
    expect((await people.list({ flag: true })).map(({ correlationId }) => correlationId)).toEqual(['late'])
    // In two looks.
    expect(failed).toBe(1_000)
  })

  it('counts what starts, ends and is flagged, by flow and flag', async () => {
    const counts = countInto(new Map())
    const { deliver } = await setUp()
    await deliver(...eventsOf('o1', GOOD), ...eventsOf('o2', [...GOOD, 'rejected']), ...eventsOf('o1', GOOD))
    await deliver(...eventsOf('o3', ['placed', 'reserved'], { by: 'saga' }))
    expect(Object.fromEntries(counts)).toMatchObject({
      'banyan.flows.started checkout': 2,
      'banyan.flows.ended checkout': 2,
      'banyan.flows.flagged checkout ended-twice': 1,
    })
  })

  it('refuses wrong options, and flows that cannot be told apart', () => {
    expect(() => watchFlows([])).toThrow('none given')
    expect(() => watchFlows([checkout, checkout])).toThrow('two declarations of version 1 of "checkout"')
    expect(() => watchFlows([checkout], { graceMs: -1 })).toThrow(RangeError)
    expect(() => watchFlows([checkout], { retentionMs: 5_000, flaggedRetentionMs: 4_000 })).toThrow(RangeError)
    const other = flow('other', { version: 1 })
      .starts({ ...reserved, version: 2 })
      .ends(shipped)
      .withinMs(1)
    expect(() => watchFlows([checkout, other])).toThrow('version 2 of event "reserved", another flow version 1')
  })
})
