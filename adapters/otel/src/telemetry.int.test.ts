import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Logger, silentLogger } from '@banyan/core'
import { context, metrics, type ProxyTracerProvider, propagation, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api'
import { TracerProvider } from '@opentelemetry/sdk-trace'
import { afterEach, expect, test, vi } from 'vitest'
import { startTelemetry, type Telemetry } from './telemetry.ts'

interface ReceivedSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  attributes: { key: string; value: { stringValue?: string } }[]
}

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** A collector that speaks OTLP over HTTP, as far as it takes to read spans. */
async function receiver(answer: 200 | 'never' = 200, port = 0) {
  const spans: ReceivedSpan[] = []
  const resources: unknown[] = []
  let requests = 0
  const server: Server = createServer(async (request, response) => {
    requests += 1
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    if (answer === 200) {
      const body = JSON.parse(Buffer.concat(chunks).toString())
      for (const group of body.resourceSpans) {
        resources.push(group.resource)
        for (const scope of group.scopeSpans) spans.push(...scope.spans)
      }
    }
    if (answer === 200) response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  cleanUps.push(close)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, spans, resources, requests: () => requests, close }
}

function started(options: Partial<Parameters<typeof startTelemetry>[0]> = {}): Telemetry {
  const telemetry = startTelemetry({ service: 'orders', env: {}, ...options })
  cleanUps.push(() => telemetry.stop())
  return telemetry
}

function listening(): Logger & { warnings: string[]; infos: string[] } {
  const warnings: string[] = []
  const infos: string[] = []
  return { ...silentLogger, warnings, infos, warn: (_, text) => void warnings.push(text), info: (_, text) => void infos.push(text) }
}

test('a tree of spans arrives at a collector with its parent links, across a wire', async () => {
  const { url, spans, resources } = await receiver()
  const telemetry = started({ instanceId: 'orders-1', env: { OTEL_EXPORTER_OTLP_ENDPOINT: url } })
  const tracer = trace.getTracer('test')
  await tracer.startActiveSpan('GET /api/orders', { kind: SpanKind.SERVER }, async (root) => {
    await Promise.resolve()
    tracer.startActiveSpan('orders.place', { kind: SpanKind.CLIENT, attributes: { 'banyan.service': 'gateway' } }, (call) => {
      const headers: Record<string, string> = {}
      propagation.inject(context.active(), headers)
      const remote = propagation.extract(ROOT_CONTEXT, headers)
      tracer.startSpan('orders POST /orders', { kind: SpanKind.SERVER }, remote).end()
      call.end()
    })
    root.end()
  })
  await telemetry.flush()
  const byName = Object.fromEntries(spans.map((span) => [span.name, span]))
  const root = byName['GET /api/orders']
  expect(spans).toHaveLength(3)
  expect(new Set(spans.map((span) => span.traceId)).size).toBe(1)
  expect(root?.parentSpanId ?? '').toBe('')
  expect(byName['orders.place']?.parentSpanId).toBe(root?.spanId)
  expect(byName['orders POST /orders']?.parentSpanId).toBe(byName['orders.place']?.spanId)
  expect(byName['orders.place']?.attributes).toContainEqual({ key: 'banyan.service', value: { stringValue: 'gateway' } })
  expect(JSON.stringify(resources)).toContain('"service.name","value":{"stringValue":"orders"}')
  expect(JSON.stringify(resources)).toContain('"service.instance.id","value":{"stringValue":"orders-1"}')
})

test('spans leave by themselves within a second, to every collector', async () => {
  const [one, two] = [await receiver(), await receiver()]
  started({ collectors: [one.url, `${two.url}/v1/traces`] })
  trace.getTracer('test').startSpan('work').end()
  await vi.waitUntil(() => one.spans.length === 1 && two.spans.length === 1, { timeout: 3_000 })
})

test('stopping sends what is left, and a new telemetry can follow', async () => {
  const { url, spans } = await receiver()
  for (const name of ['first', 'second']) {
    const telemetry = started({ collectors: [url] })
    trace.getTracer('test').startSpan(name).end()
    await telemetry.stop()
    await telemetry.stop()
  }
  expect(spans.map((span) => span.name)).toEqual(['first', 'second'])
})

test('two at once are refused', () => {
  started()
  expect(() => startTelemetry({ service: 'other', env: {} })).toThrow(expect.objectContaining({ code: 'ERR_TELEMETRY_RUNNING' }))
})

test('beside a tracer that is there already it does not start, and leaves that as it is', () => {
  const other = new TracerProvider()
  trace.setGlobalTracerProvider(other)
  expect(() => startTelemetry({ service: 'orders', env: {} })).toThrow(expect.objectContaining({ code: 'ERR_TELEMETRY_RUNNING' }))
  expect((trace.getTracerProvider() as ProxyTracerProvider).getDelegate()).toBe(other)
  trace.disable()
  // Nothing of the attempt is in the way of another one.
  started()
})

test('a collector that is away costs one warning, never an error, and stopping stays within its bound', async () => {
  const log = listening()
  const telemetry = started({
    log,
    collectors: ['http://127.0.0.1:9'],
    env: { OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_EXPORTER_OTLP_TIMEOUT: '100' },
    flushTimeoutMs: 500,
  })
  const tracer = trace.getTracer('test')
  for (let i = 0; i < 3; i += 1) {
    tracer.startSpan(`work ${i}`).end()
    await telemetry.flush()
  }
  const before = performance.now()
  await telemetry.stop()
  expect(performance.now() - before).toBeLessThan(1_500)
  expect(log.warnings).toHaveLength(1)
  expect(log.warnings[0]).toContain('cannot send spans to http://127.0.0.1:9/v1/traces')
})

test('nothing that is logged of a collector says its password or its key', async () => {
  const lines: string[] = []
  const keep = (fields: object, message: string) => void lines.push(message, JSON.stringify(fields))
  const collectors = ['http://me:secret@127.0.0.1:9/v1/traces?key=secret']
  const log = { ...silentLogger, warn: keep, info: keep }
  const telemetry = started({ log, collectors, env: { OTEL_EXPORTER_OTLP_TIMEOUT: '100' } })
  trace.getTracer('test').startSpan('lost').end()
  await telemetry.flush()
  expect(lines[0]).toMatch(/^telemetry: cannot send spans to http:\/\/\*\*\*@127\.0\.0\.1:9\/v1\/traces\?\*\*\*: /)
  expect(lines.join()).not.toContain('secret')
})

test('a collector that takes spans and never answers holds up neither flush nor stop', async () => {
  const { url, requests } = await receiver('never')
  const telemetry = started({ collectors: [url], flushTimeoutMs: 100 })
  trace.getTracer('test').startSpan('work').end()
  const before = performance.now()
  await telemetry.flush()
  await telemetry.stop()
  expect(performance.now() - before).toBeLessThan(1_000)
  expect(requests()).toBe(1)
})

test('a collector that comes back is told of once', async () => {
  const gone = await receiver()
  await gone.close()
  const log = listening()
  const telemetry = started({ log, collectors: [gone.url], env: { OTEL_EXPORTER_OTLP_TIMEOUT: '100' } })
  trace.getTracer('test').startSpan('lost').end()
  await telemetry.flush()
  const back = await receiver(200, Number(new URL(gone.url).port))
  trace.getTracer('test').startSpan('found').end()
  await telemetry.flush()
  expect(back.spans.map((span) => span.name)).toEqual(['found'])
  expect([log.warnings.length, log.infos.length]).toEqual([1, 1])
})

test('metrics come as Prometheus text, those of the process among them', async () => {
  const telemetry = started()
  metrics.getMeter('test').createCounter('orders.placed', { description: 'Orders' }).add(3, { 'banyan.service': 'orders' })
  metrics.getMeter('test').createHistogram('took', { unit: 's' }).record(0.2)
  await vi.waitUntil(async () => (await telemetry.metricsText()).includes('nodejs_eventloop_delay_p99'))
  const text = await telemetry.metricsText()
  expect(text).toMatch(/^orders_placed(_total)?\{.*banyan_service="orders".*\} 3$/m)
  expect(text).toMatch(/^# TYPE took(_seconds)? histogram$/m)
  expect(text).toMatch(/^process_memory_usage(_bytes)?\{?.*\}? \d+$/m)
  for (const line of text.trim().split('\n')) {
    expect(line).toMatch(/^(# (HELP|TYPE|UNIT) [a-zA-Z_:][\w:]* .*|[a-zA-Z_:][\w:]*(\{.*\})? (-?[\d.]+(e[+-]?\d+)?|[+-]Inf|NaN))$/)
  }
})

test('OTEL_SDK_DISABLED records nothing, but the trace context still goes through', async () => {
  const { url, requests } = await receiver()
  const telemetry = started({ collectors: [url], env: { OTEL_SDK_DISABLED: 'true' } })
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const out: Record<string, string> = {}
  await context.with(propagation.extract(ROOT_CONTEXT, { traceparent }), async () => {
    await Promise.resolve()
    trace.getTracer('test').startActiveSpan('work', (span) => {
      propagation.inject(context.active(), out)
      span.end()
    })
  })
  await telemetry.flush()
  expect(out.traceparent).toBe(traceparent)
  expect(await telemetry.metricsText()).toBe('')
  expect(requests()).toBe(0)
})

test('sampling follows OTEL_TRACES_SAMPLER', async () => {
  const { url, spans } = await receiver()
  const telemetry = started({ collectors: [url], env: { OTEL_TRACES_SAMPLER: 'always_off' } })
  trace.getTracer('test').startSpan('work').end()
  await telemetry.flush()
  expect(spans).toEqual([])
})
