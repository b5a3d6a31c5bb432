import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { messageOf } from '@banyan/core'
import { otlpSpans, type Span } from './otlp.ts'

/** Keeps the spans of recent traces in memory. */
export interface TraceCollector {
  /** Where to export to: a base for OTLP/HTTP, as in `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string
  /** The spans of a trace by their start; none for a trace it does not know. */
  spans(traceId: string): readonly Span[]
  stop(): Promise<void>
}

const MAX_BODY_BYTES = 16 * 1024 * 1024

/**
 * Listens for OTLP/HTTP with JSON on a free port of 127.0.0.1.
 *
 * @param maxTraces how many traces are kept; the oldest go first
 * @param maxSpans how many spans of one trace, the newest
 * @see https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export async function traceCollector(maxTraces = 2_000, maxSpans = 10_000): Promise<TraceCollector> {
  const traces = new Map<string, Span[]>()
  const server = createServer(async (request, response) => {
    try {
      if (request.method !== 'POST' || request.url !== '/v1/traces') return void response.writeHead(404).end()
      for (const span of otlpSpans(JSON.parse(await bodyOf(request)))) keep(traces, span, { maxTraces, maxSpans })
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    } catch (error) {
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ message: messageOf(error) }))
    }
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  // It listens on TCP, so its address is never a pipe's name.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans: (traceId) => [...(traces.get(traceId) ?? [])].sort((a, b) => a.startMs - b.startMs),
    stop() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function keep(traces: Map<string, Span[]>, span: Span, { maxTraces, maxSpans }: { maxTraces: number; maxSpans: number }): void {
  const known = traces.get(span.traceId)
  if (known) {
    known.push(span)
    if (known.length > maxSpans) known.shift()
    return
  }
  traces.set(span.traceId, [span])
  const [oldest] = traces.keys()
  if (traces.size > maxTraces && oldest) traces.delete(oldest)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new RangeError(`the body is larger than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
