import {
  type Attributes,
  type Context,
  context,
  ProxyTracerProvider,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api'
import { type HeaderList, headerOf, withoutHeaders } from './headers.ts'

const tracer = trace.getTracer('@banyan/gateway')

/**
 * Whether anybody collects spans. Where nobody does, none are made: spans that go nowhere would cost a request more than its route and its
 * balancer do.
 */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider()
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer('@banyan/gateway') !== undefined
}

/** A span and the context in which it is the current one. */
export interface Traced {
  readonly span: Span
  readonly context: Context
}

/** Starts the span of a client's request, under the trace that its `traceparent` names. */
export function startServerSpan(name: string, headers: HeaderList, attributes: Attributes): Traced {
  // Most clients send none of the headers that are looked for.
  const isCarried = hasAny(headers, propagation.fields())
  const parent = isCarried ? propagation.extract(ROOT_CONTEXT, headers, GETTER) : ROOT_CONTEXT
  const span = tracer.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent)
  return { span, context: trace.setSpan(parent, span) }
}

const GETTER: TextMapGetter<HeaderList> = {
  get: (carrier, key) => headerOf(carrier, key.toLowerCase()),
  keys: (carrier) => carrier.filter((_, index) => index % 2 === 0),
}

/** Starts the span of one try, under the current one. */
export function startClientSpan(name: string, attributes: Attributes): Traced {
  const parent = context.active()
  const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, parent)
  return { span, context: trace.setSpan(parent, span) }
}

/** Ends a span by the status that was answered, or the error there was instead. */
export function endSpan(
  span: Span,
  outcome: { readonly status: number } | { readonly error: unknown },
  isBad: (status: number) => boolean,
): void {
  if ('status' in outcome) {
    span.setAttribute('http.response.status_code', outcome.status)
    if (isBad(outcome.status)) span.setStatus({ code: SpanStatusCode.ERROR })
  } else {
    span.recordException(outcome.error instanceof Error ? outcome.error : String(outcome.error))
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}

/** The headers with the trace context of `traced`; those that came in stay when nobody traces here. */
export function withTraceContext(headers: HeaderList, traced: Context): HeaderList {
  const carrier: Record<string, string> = {}
  propagation.inject(traced, carrier)
  if (carrier.traceparent === undefined) return headers
  const said = ['tracestate', ...Object.keys(carrier)]
  const injected = hasAny(headers, said) ? withoutHeaders(headers, (name) => said.includes(name)) : headers.slice()
  for (const [name, value] of Object.entries(carrier)) injected.push(name, value)
  return injected
}

function hasAny(headers: HeaderList, names: readonly string[]): boolean {
  return names.some((name) => headerOf(headers, name) !== undefined)
}

/** The trace id for the log: of the span, or where nobody traces here, of the `traceparent` that came in. */
export function traceIdOf(span: Span | undefined, headers: HeaderList): string | undefined {
  if (span) return span.spanContext().traceId
  return /^[\da-f]{2}-([\da-f]{32})-/.exec(headerOf(headers, 'traceparent') ?? '')?.[1]
}
