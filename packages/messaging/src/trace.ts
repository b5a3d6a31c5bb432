import type { Envelope } from '@banyan/core'
import {
  type Context,
  context,
  createTraceState,
  isSpanContextValid,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  trace,
} from '@opentelemetry/api'

/** The trace context as an envelope carries it. */
export type TraceAttributes = Pick<Envelope, 'traceparent' | 'tracestate'>

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/

/**
 * The trace context of a span, for the wire; nothing for a span outside any trace.
 *
 * @see https://www.w3.org/TR/trace-context/
 */
export function traceAttributes(span: Span | undefined): TraceAttributes {
  const context = span?.spanContext()
  if (!context || !isSpanContextValid(context)) return {}
  const flags = (context.traceFlags & 0xff).toString(16).padStart(2, '0')
  const state = context.traceState?.serialize()
  return { traceparent: `00-${context.traceId}-${context.spanId}-${flags}`, ...(state ? { tracestate: state } : {}) }
}

/** `context` with the span that an envelope names as the active one; `context` itself when it names none. */
export function withRemoteParent(context: Context, attributes: TraceAttributes): Context {
  const remote = spanContextOf(attributes)
  return remote ? trace.setSpanContext(context, remote) : context
}

/** What spans are made of while no telemetry is set up. */
const NO_TELEMETRY = new ProxyTracerProvider().getDelegate()

/** Whether a span would be seen by anybody: telemetry is set up, or there is a trace to be handed on. */
export function isTraced(): boolean {
  const provider = trace.getTracerProvider()
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegate() !== NO_TELEMETRY || context.active() !== ROOT_CONTEXT
}

/** The trace an envelope belongs to. */
export function traceIdOf(attributes: TraceAttributes): string | undefined {
  return spanContextOf(attributes)?.traceId
}

function spanContextOf({ traceparent, tracestate }: TraceAttributes): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? []
  if (!traceId || !spanId || !flags) return undefined
  const context: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  if (tracestate) context.traceState = createTraceState(tracestate)
  return isSpanContextValid(context) ? context : undefined
}
