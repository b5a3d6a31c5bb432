import { AsyncLocalStorage } from 'node:async_hooks'
import { api } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanStatus,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { client } from './client.ts'
import { httpTransport } from './http-transport.ts'
import { inProcessTransport } from './in-process.ts'
import { serve } from './serve.ts'
import { service } from './service.ts'
import type { Transport } from './transport.ts'

interface Recorded {
  name: string
  kind: SpanKind | undefined
  traceId: string
  spanId: string
  parent: string | undefined
  attributes: Attributes
  status: SpanStatus | undefined
  ended: boolean
}

const recorded: Recorded[] = []

/** As much of a tracer as it takes to see names, parents and attributes. */
function recordingSpan(name: string, kind: SpanKind | undefined, attributes: Attributes, parent: Context): Span {
  const above = trace.getSpanContext(parent)
  const hex = (bytes: number) => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('hex')
  const spanContext = { traceId: above?.traceId ?? hex(16), spanId: hex(8), traceFlags: 1 }
  const note: Recorded = {
    ...{ name, kind, traceId: spanContext.traceId, spanId: spanContext.spanId, parent: above?.spanId },
    ...{ attributes: { ...attributes }, status: undefined, ended: false },
  }
  recorded.push(note)
  const span = trace.wrapSpanContext(spanContext)
  return Object.assign(span, {
    setAttribute(key: string, value: string) {
      note.attributes[key] = value
      return span
    },
    setStatus(status: SpanStatus) {
      note.status = status
      return span
    },
    end() {
      note.ended = true
    },
  })
}

const storage = new AsyncLocalStorage<Context>()
const manager: ContextManager = {
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, work, self, ...rest) => storage.run(active, () => work.call(self as never, ...rest)),
  bind: (_, target) => target,
  enable: () => manager,
  disable: () => manager,
}

const w3c: TextMapPropagator<Record<string, string>> = {
  fields: () => ['traceparent'],
  inject(active, carrier) {
    const span = trace.getSpanContext(active)
    if (span) carrier.traceparent = `00-${span.traceId}-${span.spanId}-01`
  },
  extract(active, carrier) {
    const [, traceId, spanId] = /^00-(\w{32})-(\w{16})-01$/.exec(carrier.traceparent ?? '') ?? []
    return traceId && spanId ? trace.setSpanContext(active, { traceId, spanId, traceFlags: 1, isRemote: true }) : active
  },
}

beforeAll(() => {
  context.setGlobalContextManager(manager)
  propagation.setGlobalPropagator(w3c)
  trace.setGlobalTracerProvider({
    getTracer: () => ({
      startSpan: (name, { kind, attributes = {} } = {}, parent = context.active()) => recordingSpan(name, kind, attributes, parent),
      startActiveSpan: () => expect.fail('not used by this package'),
    }),
  })
})
afterAll(() => {
  trace.disable()
  context.disable()
  propagation.disable()
})
beforeEach(() => void recorded.splice(0))

const things = api('things', {
  operations: {
    get: { method: 'GET', path: '/things/{id}', response: z.object({ traceId: z.string() }) },
  },
})

async function called(id: string, inProcess: boolean): Promise<unknown> {
  const local = inProcessTransport()
  const it = service('things', { transport: local, drainMs: 0 })
  it.use(
    serve(things, {
      async get({ params }, { traceId }) {
        await Promise.resolve()
        if (params.id === 'broken') throw new Error('boom')
        expect(trace.getActiveSpan()?.spanContext().traceId).toBe(traceId)
        return { traceId }
      },
    }),
  )
  const { port } = await it.start()
  const transport: Transport = inProcess ? local : httpTransport({ registry: staticRegistry({ things: [`127.0.0.1:${port}`] }) })
  try {
    return await client(things, { transport })
      .get({ params: { id } }, { timeoutMs: 2_000 })
      .catch((error) => error)
  } finally {
    await transport.close()
    await it.stop()
  }
}

test.each([false, true])('a call is one trace: the server span hangs below the client span (in process: %s)', async (inProcess) => {
  const answer = await called('7', inProcess)
  const [call, served] = recorded
  expect(recorded).toHaveLength(2)
  expect(call).toMatchObject({ name: 'things.get', kind: SpanKind.CLIENT, parent: undefined, ended: true })
  expect(call?.attributes).toMatchObject({ 'peer.service': 'things', 'http.response.status_code': 200 })
  expect(served).toMatchObject({ name: 'things GET /things/{id}', kind: SpanKind.SERVER, parent: call?.spanId, ended: true })
  expect(served?.attributes).toMatchObject({
    'banyan.service': 'things',
    'http.route': '/things/{id}',
    'url.path': '/things/7',
    'http.response.status_code': 200,
  })
  expect(answer).toEqual({ traceId: call?.traceId })
})

test('a failure marks both spans, each attempt a server span of its own, and the client learns the trace id', async () => {
  const error = await called('broken', false)
  const [call, ...served] = recorded
  expect(call?.attributes).toMatchObject({ 'http.request.resend_count': 2, 'error.type': 'ERR_PROBLEM' })
  expect(served.map((span) => [span.parent, span.status?.message, span.ended])).toEqual([1, 2, 3].map(() => [call?.spanId, 'boom', true]))
  expect(error).toMatchObject({ status: 500, problem: { traceId: call?.traceId } })
})
