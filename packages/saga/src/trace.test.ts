import { AsyncLocalStorage } from 'node:async_hooks'
import { event, type Schema, type Transaction } from '@banyan/core'
import { publish } from '@banyan/messaging'
import {
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanOptions,
  type TextMapPropagator,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { saga } from './define.ts'
import { startSaga } from './start.ts'
import { nothing } from './steps.ts'
import { bench } from './test/bench.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'

interface Seen {
  name: string
  traceId: string
  attributes: Record<string, unknown>
}

let spans: Seen[] = []

beforeEach(() => {
  spans = []
  context.setGlobalContextManager(contexts())
  propagation.setGlobalPropagator(w3c)
  trace.setGlobalTracerProvider({ getTracer: () => tracer })
})
afterEach(() => {
  context.disable()
  propagation.disable()
  trace.disable()
})

// Takes whatever comes for a trip.
const schema: Schema<{ tripId: string }> = {
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as { tripId: string } }) },
}
const passed = event('trip.confirmed', { schema, key: ({ tripId }) => tripId })

describe('the trace and the correlation of a saga', () => {
  it('go through all its steps, in another process too, and through what local steps publish', async () => {
    const b = bench()
    const definition = saga<{ tripId: string }>('trip', { version: 1, key: ({ tripId }) => tripId })
      .step('hotel', { do: () => 1, undo: nothing('x') })
      .pivot('confirm', { local: (tx: Transaction, c) => publish(tx, passed, { tripId: c.input.tripId }) })
      .done()
    const active = trace.setSpanContext(ROOT_CONTEXT, { traceId: TRACE, spanId: 'b7ad6b7169203331', traceFlags: 1 })
    const { id } = await context.with(active, () => b.database.transaction((tx) => startSaga(tx, definition, { tripId: 't1' })))
    await b.run([definition])
    await b.world.advance(0)
    expect(spans.filter(({ name }) => name.startsWith('saga'))).toMatchObject([
      {
        name: 'saga trip/hotel',
        traceId: TRACE,
        attributes: { 'banyan.service': 'orders', 'banyan.saga.id': id, 'banyan.saga.key': 't1' },
      },
      { name: 'saga trip/confirm', traceId: TRACE },
    ])
    const [envelope] = await b.published()
    expect(envelope).toMatchObject({ type: 'trip.confirmed', correlationid: 't1', causationid: `${id}:confirm` })
    expect(envelope?.traceparent).toContain(TRACE)
  })
})

const w3c: TextMapPropagator<Record<string, string>> = {
  inject(from, carrier) {
    const span = trace.getSpanContext(from)
    if (span) carrier.traceparent = `00-${span.traceId}-${span.spanId}-01`
  },
  extract(into, carrier) {
    const [, traceId = '', spanId = ''] = carrier.traceparent?.split('-') ?? []
    return traceId ? trace.setSpanContext(into, { traceId, spanId, traceFlags: 1, isRemote: true }) : into
  },
  fields: () => ['traceparent'],
}

// Only the forms of these two that this room calls.
const tracer = {
  startSpan(name: string, { attributes = {} }: SpanOptions = {}, parent: Context = context.active()): Span {
    const traceId = trace.getSpanContext(parent)?.traceId ?? 'none'
    spans.push({ name, traceId, attributes })
    return trace.wrapSpanContext({ traceId, spanId: String(spans.length).padStart(16, '0'), traceFlags: 1 })
  },
  startActiveSpan(name: string, options: SpanOptions, parent: Context, body: (span: Span) => unknown): unknown {
    const span = tracer.startSpan(name, options, parent)
    return context.with(trace.setSpan(parent, span), body, undefined, span)
  },
} as unknown as Tracer

function contexts(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, body, self, ...args) => storage.run(active, () => body.apply(self as never, args)),
    bind: (_active, target) => target,
    enable: () => manager,
    disable: () => manager,
  }
  return manager
}
