import { AsyncLocalStorage } from 'node:async_hooks'
import { manualWorld } from '@banyan/core'
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  type Exception,
  INVALID_SPAN_CONTEXT,
  metrics,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  trace,
} from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { consume } from './consume.ts'
import { deadLetters } from './dead-letters.ts'
import { publish } from './publish.ts'
import { relay } from './relay.ts'
import { contextOf, testDatabase } from './test/database.ts'
import { seatFreed, seatTaken, taken } from './test/events.ts'
import { memoryBus } from './test/memory-bus.ts'
import { traceAttributes, withRemoteParent } from './trace.ts'

interface Seen extends SpanContext {
  name: string
  kind: SpanKind | undefined
  parentId: string | undefined
  attributes: Attributes
  ended: boolean
  exceptions: Exception[]
}

const spans: Seen[] = []
const counts = new Map<string, number>()
const recorded: [string, number][] = []

/** A tracer provider that keeps what it is told, so that this room needs no SDK to be tested. */
function startSpan(name: string, { kind, attributes = {} }: SpanOptions = {}, parent: Context = ROOT_CONTEXT) {
  const from = trace.getSpanContext(parent) ?? INVALID_SPAN_CONTEXT
  const spanId = String(spans.length + 1).padStart(16, '0')
  const traceId = from === INVALID_SPAN_CONTEXT ? String(spans.length + 1).padStart(32, '0') : from.traceId
  const seen: Seen = {
    name,
    kind,
    attributes,
    traceId,
    spanId,
    traceFlags: 1,
    parentId: from.traceId === traceId ? from.spanId : undefined,
    ended: false,
    exceptions: [],
  }
  spans.push(seen)
  return Object.assign(trace.wrapSpanContext(seen), {
    recordException: (exception: Exception) => void seen.exceptions.push(exception),
    end() {
      seen.ended = true
    },
  })
}

function storageManager(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  return {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, body, self, ...args) => storage.run(active, () => body.apply(self as never, args)),
    bind: (_context, target) => target,
    enable() {
      return this
    },
    disable() {
      return this
    },
  }
}

beforeEach(() => {
  spans.length = 0
  counts.clear()
  recorded.length = 0
  const tracer = { startSpan, startActiveSpan: () => expect.fail('not used') }
  trace.setGlobalTracerProvider({ getTracer: () => tracer })
  context.setGlobalContextManager(storageManager())
  const noop = metrics.getMeterProvider().getMeter('none')
  metrics.setGlobalMeterProvider({
    getMeter: () =>
      Object.assign(Object.create(noop) as typeof noop, {
        createHistogram: (name: string) => ({ record: (value: number) => void recorded.push([name, value]) }),
        createCounter: (name: string) => ({ add: (value: number) => void counts.set(name, (counts.get(name) ?? 0) + value) }),
      }),
  })
})
afterEach(() => {
  trace.disable()
  context.disable()
  metrics.disable()
})

describe('telemetry of messaging', () => {
  it('runs one trace from the publisher through the consumer to what that publishes, and counts on the way', async () => {
    const world = manualWorld()
    const [orders, audience] = [testDatabase(world), testDatabase(world)]
    const bus = memoryBus()
    const mover = relay()
    await mover.start(contextOf(world, { database: orders, bus }))
    const handler = consume(seatTaken, ({ data }, tx) => publish(tx, seatFreed, data))
    await handler.start({ ...contextOf(world, { database: audience, bus }), service: 'audience' })

    await orders.transaction((tx) => publish(tx, seatTaken, { id: 'A1', n: 1 }))
    await world.advance(0)
    await bus.deliver(...bus.published, ...bus.published)

    expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
      ['publish seat.taken', SpanKind.PRODUCER],
      ['consume seat.taken', SpanKind.CONSUMER],
      ['publish seat.freed', SpanKind.PRODUCER],
      ['consume seat.taken', SpanKind.CONSUMER],
    ])
    const [first, second, third] = spans
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
    expect([second?.parentId, third?.parentId]).toEqual([first?.spanId, second?.spanId])
    expect(first?.attributes['banyan.service']).toBe('orders')
    expect(second?.attributes['banyan.service']).toBe('audience')
    expect(spans.every(({ ended }) => ended)).toBe(true)
    expect(Object.fromEntries(counts)).toEqual({
      'banyan.messages.published': 2,
      'banyan.messages.relayed': 1,
      'banyan.messages.handled': 1,
      'banyan.messages.duplicates': 1,
    })
    await Promise.all([handler.stop(), mover.stop()])
  })

  it('tells how long an event took, also where it was handled in a later run', async () => {
    const world = manualWorld()
    const bus = memoryBus()
    const time = new Date(world.now()).toISOString()
    let fails = true
    const handler = consume(seatTaken, async () => {
      if (fails) throw new Error('not yet')
    })
    await handler.start(contextOf(world, { database: testDatabase(world), bus }))
    await bus.deliver(taken('A1', 1, { time }))
    await world.advance(50)
    fails = false
    await world.advance(10_000)
    await bus.deliver(taken('B1', 1, { time }))
    const lags = recorded.filter(([name]) => name === 'banyan.messages.lag').map(([, value]) => value)
    expect(lags).toEqual([expect.closeTo(0.1, 0), 10.05])
    await handler.stop()
  })

  it('counts a dead letter when it is one, and not while it waits behind another of its key', async () => {
    const world = manualWorld()
    const database = testDatabase(world)
    const bus = memoryBus()
    const handler = consume(seatTaken, async () => {})
    await handler.start(contextOf(world, { database, bus }))
    await bus.deliver(taken('A1', 1, { data: 'rubbish' }), taken('A1', 2, { data: 'rubbish' }))
    expect(Object.fromEntries(counts)).toEqual({ 'banyan.messages.dead_letters': 1 })
    await deadLetters(database, { world }).discard({}, { by: 'eva', reason: 'rubbish' })
    await world.advance(0)
    expect(Object.fromEntries(counts)).toEqual({ 'banyan.messages.dead_letters': 2 })
    await handler.stop()
  })

  it('tells how often an event in trouble was run, also where the first run made it a dead letter, in the consumer and in the relay', async () => {
    const world = manualWorld()
    const database = testDatabase(world)
    const bus = memoryBus()
    const attempts = () => recorded.filter(([name]) => name === 'banyan.messages.attempts').map(([, value]) => value)
    const handler = consume(seatTaken, async () => {})
    await handler.start(contextOf(world, { database, bus }))
    await bus.deliver(taken('A1', 1, { data: 'rubbish' }), taken('B1', 1))
    expect(attempts()).toEqual([1])
    const mover = relay()
    await mover.start(contextOf(world, { database, bus }))
    bus.onPublish = () => {
      throw Object.assign(new Error('too large'), { code: 'ERR_BUS_REFUSED' })
    }
    await database.transaction((tx) => publish(tx, seatTaken, { id: 'C1', n: 1 }))
    await world.advance(0)
    expect(attempts()).toEqual([1, 1])
    await Promise.all([handler.stop(), mover.stop()])
  })

  it('tells of the error of a handler, all of it as text', async () => {
    const world = manualWorld()
    const bus = memoryBus()
    const errors = [new RangeError('no such seat'), Object.assign(new Error('no'), { code: 'ERR_SEAT', message: { seat: 1 }, stack: [] })]
    const handler = consume(seatTaken, async ({ data }) => {
      throw errors[data.n]
    })
    await handler.start(contextOf(world, { database: testDatabase(world), bus }))
    await bus.deliver(taken('A1', 0), taken('B1', 1))
    expect(spans.flatMap(({ exceptions }) => exceptions)).toEqual([
      { name: 'RangeError', message: 'no such seat', stack: expect.stringContaining('no such seat') },
      { name: 'Error', code: 'ERR_SEAT', message: '{"seat":1}' },
    ])
    await handler.stop()
  })

  it.each([
    '',
    'rubbish',
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
  ])('takes no parent from %j', (traceparent) => {
    expect(withRemoteParent(ROOT_CONTEXT, { traceparent })).toBe(ROOT_CONTEXT)
  })

  it('writes and reads the same trace context', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const read = withRemoteParent(ROOT_CONTEXT, { traceparent, tracestate: 'vendor=1' })
    expect(traceAttributes(trace.getSpan(read))).toEqual({ traceparent, tracestate: 'vendor=1' })
  })
})
