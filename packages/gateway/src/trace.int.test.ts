import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  trace,
} from '@opentelemetry/api'
import { expect, it, onTestFinished } from 'vitest'
import { closedPort, type Echo, echo, start, until } from './test/harness.ts'

interface Recorded {
  readonly name: string
  readonly kind: SpanKind | undefined
  readonly attributes: Attributes
  readonly traceId: string
  readonly spanId: string
  readonly parent: string | undefined
  ended: boolean
}

/** The least that makes @opentelemetry/api work: what an SDK would register. */
function record(): Recorded[] {
  const spans: Recorded[] = []
  const storage = new AsyncLocalStorage<Context>()
  let last = 0
  const startSpan = (name: string, options: SpanOptions = {}, parent: Context = context.active()): Span => {
    const above = trace.getSpanContext(parent)
    last += 1
    const spanId = last.toString(16).padStart(16, '0')
    const recorded: Recorded = {
      name,
      kind: options.kind,
      attributes: { ...options.attributes },
      traceId: above?.traceId ?? '1'.repeat(32),
      spanId,
      parent: above?.spanId,
      ended: false,
    }
    spans.push(recorded)
    const span = {
      spanContext: () => ({ traceId: recorded.traceId, spanId, traceFlags: 1 }),
      setAttribute: (key: string, value: string) => Object.assign(recorded.attributes, { [key]: value }),
      setStatus: () => span,
      recordException: () => undefined,
      end: () => {
        recorded.ended = true
      },
    }
    // Only what the gateway uses of a span.
    return span as unknown as Span
  }
  trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan, startActiveSpan: () => undefined as never }) })
  context.setGlobalContextManager({
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, run, self, ...args) => storage.run(active, () => run.apply(self as never, args)),
    bind: (_, target) => target,
    enable: () => undefined as never,
    disable: () => undefined as never,
  })
  propagation.setGlobalPropagator({
    fields: () => ['traceparent'],
    inject(from, carrier, setter) {
      const span = trace.getSpanContext(from)
      if (span) setter.set(carrier, 'traceparent', `00-${span.traceId}-${span.spanId}-01`)
    },
    extract(into, carrier, getter) {
      const [, traceId = '', spanId = ''] = String(getter.get(carrier, 'traceparent')).split('-')
      return traceId ? trace.setSpanContext(into, { traceId, spanId, traceFlags: 1 }) : into
    },
  })
  onTestFinished(() => {
    trace.disable()
    context.disable()
    propagation.disable()
  })
  return spans
}

it('one trace runs through the gateway: a span for the request, one for each try, and the service gets the last', async () => {
  const spans = record()
  const service = await echo()
  const dead = `127.0.0.1:${await closedPort()}`
  const { url, log } = await start({ routes: [{ path: '/api/orders', service: 'orders' }] }, { orders: [dead, service.address] })
  const traceId = 'a'.repeat(32)
  let seen: Echo | undefined
  // The first choice is drawn; ask until the dead one was drawn first.
  for (let index = 0; index < 50 && !spans.some(({ attributes }) => attributes['http.request.resend_count'] === 1); index += 1) {
    spans.length = 0
    const response = await fetch(`${url}/api/orders/1`, { headers: { traceparent: `00-${traceId}-${'b'.repeat(16)}-01` } })
    seen = (await response.json()) as Echo
  }
  await until(() => spans.every(({ ended }) => ended), 'all spans to end')
  const [server, first, second] = spans
  expect(server).toMatchObject({
    name: 'GET /api/orders',
    kind: SpanKind.SERVER,
    traceId,
    parent: 'b'.repeat(16),
    attributes: { 'banyan.service': 'gateway', 'http.route': '/api/orders', 'http.response.status_code': 200, 'url.path': '/api/orders/1' },
  })
  expect(first).toMatchObject({
    name: 'GET orders',
    kind: SpanKind.CLIENT,
    traceId,
    parent: server?.spanId,
    attributes: { 'banyan.service': 'gateway', 'banyan.upstream': 'orders' },
  })
  expect(second).toMatchObject({
    name: 'GET orders',
    kind: SpanKind.CLIENT,
    parent: server?.spanId,
    attributes: { 'http.request.resend_count': 1, 'http.response.status_code': 200 },
  })
  expect(seen?.headers.traceparent).toBe(`00-${traceId}-${second?.spanId}-01`)
  expect(log.at(-1)).toMatchObject({ traceId })
})
