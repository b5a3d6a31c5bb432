import { codeOf, messageOf, type World } from '@banyan/core'
import {
  type Attributes,
  type Context,
  context,
  createNoopMeter,
  type Histogram,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  type MeterProvider,
  metrics,
  ProxyTracerProvider,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
  type UpDownCounter,
} from '@opentelemetry/api'

/** The room's metrics; names and attributes as in OpenTelemetry's conventions for HTTP, with `banyan.service` added. */
export interface Instruments {
  /** Seconds from the request's arrival to its answer. */
  readonly serverDuration: Histogram
  /** Requests being handled. */
  readonly serverActive: UpDownCounter
  /** Seconds a call took, retries included. */
  readonly clientDuration: Histogram
  /** Whether anybody measures: where not, what is to be measured need not be found out. */
  readonly isHeard: boolean
}

const known = new WeakMap<MeterProvider, Instruments>()
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

let latest: { readonly provider: MeterProvider; readonly made: Instruments } | undefined

/** The instruments of the meter provider at hand: it may be set up after this module is loaded. */
export function instruments(): Instruments {
  const provider = metrics.getMeterProvider()
  if (latest?.provider !== provider) latest = { provider, made: known.get(provider) ?? make(provider) }
  return latest.made
}

function make(provider: MeterProvider): Instruments {
  const meter = provider.getMeter('@banyan/service')
  const duration = (name: string, description: string) =>
    meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: SECONDS } })
  const fresh: Instruments = {
    serverDuration: duration('http.server.request.duration', 'How long requests took to answer'),
    serverActive: meter.createUpDownCounter('http.server.active_requests', { description: 'Requests being handled', unit: '{request}' }),
    clientDuration: duration('http.client.request.duration', 'How long calls of other services took, retries included'),
    isHeard: meter !== createNoopMeter(),
  }
  known.set(provider, fresh)
  return fresh
}

/** Runs `work` inside a SERVER span whose parent is the caller's, as its headers say. The span ends when `work` settles. */
export function inServerSpan<T>(
  name: string,
  headers: Readonly<Record<string, string>>,
  attributes: Attributes,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  return inSpan(name, SpanKind.SERVER, attributes, propagation.extract(ROOT_CONTEXT, headers), work)
}

/** Runs `work` inside a CLIENT span; an error that leaves it is noted there. */
export function inClientSpan<T>(name: string, attributes: Attributes, work: (span: Span) => Promise<T>): Promise<T> {
  return inSpan(name, SpanKind.CLIENT, attributes, context.active(), work)
}

/** Puts the active trace context into headers. */
export function injectTrace(headers: Record<string, string>): void {
  propagation.inject(context.active(), headers)
}

/** The trace id of a span; `undefined` while no telemetry is set up. */
export function traceIdOf(span: Span): string | undefined {
  const spanContext = span.spanContext()
  return isSpanContextValid(spanContext) ? spanContext.traceId : undefined
}

/** A trace id for where no telemetry gives one, so that a client's problem can be found in the log all the same. */
export function newTraceId(world: World): string {
  return Array.from({ length: 4 }, () => ((world.random() * 2 ** 32) >>> 0).toString(16).padStart(8, '0')).join('')
}

/** The trace that a request's headers belong to. */
export function traceIdOfHeaders(headers: Readonly<Record<string, string>>): string | undefined {
  return trace.getSpanContext(propagation.extract(ROOT_CONTEXT, headers))?.traceId
}

/** The attributes of a measurement by the status of the answer, made once for each. */
export function labelsByStatus(shared: Attributes): (status: number) => Attributes {
  const known = new Map<number, Attributes>()
  return (status) => {
    const found = known.get(status) ?? { ...shared, 'http.response.status_code': status }
    known.set(status, found)
    return found
  }
}

/** Notes an error in a span. */
export function noteError(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) })
  span.setAttribute('error.type', codeOf(error) ?? nameOf(error))
}

function nameOf(error: unknown): string {
  try {
    return error instanceof Error ? error.name : typeof error
  } catch {
    // A proxy may not be looked at, and a getter may throw.
    return typeof error
  }
}

/** For where {@link isTracing} says no: making spans for nobody would be a good part of what a call costs. */
export const NO_SPAN: Span = trace.wrapSpanContext(INVALID_SPAN_CONTEXT)

/** Whether anybody collects spans or hands traces on. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider()
  const isSetUp = !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer('@banyan/service') !== undefined
  return isSetUp || propagation.fields().length > 0
}

let tracing: { readonly provider: TracerProvider; readonly tracer: Tracer } | undefined

/** The tracer of the provider at hand. */
function tracer(): Tracer {
  const provider = trace.getTracerProvider()
  if (tracing?.provider !== provider) tracing = { provider, tracer: provider.getTracer('@banyan/service') }
  return tracing.tracer
}

function inSpan<T>(name: string, kind: SpanKind, attributes: Attributes, parent: Context, work: (span: Span) => Promise<T>): Promise<T> {
  const span = tracer().startSpan(name, { kind, attributes }, parent)
  const end = () => span.end()
  return context.with(trace.setSpan(parent, span), () =>
    work(span).then(
      (value) => {
        end()
        return value
      },
      (error: unknown) => {
        noteError(span, error)
        end()
        throw error
      },
    ),
  )
}
