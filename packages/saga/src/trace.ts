import { type Attributes, context, propagation, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'

/** The trace a saga was started in, as it is stored. */
export interface StoredTrace {
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
}

/** The trace context at hand, in the format of the propagator that is set up: W3C's. */
export function currentTrace(): StoredTrace {
  const carrier: Record<string, string> = {}
  propagation.inject(context.active(), carrier)
  return { traceparent: carrier.traceparent, tracestate: carrier.tracestate }
}

/** Runs `body` inside a span of the stored trace. A failure that is given back as a value is told by `body` itself. */
export function inStoredTrace<T>(
  stored: StoredTrace,
  describe: () => { name: string; attributes: Attributes },
  body: (span: Span) => Promise<T>,
): Promise<T> {
  const tracer = trace.getTracer('@banyan/saga')
  const { name, attributes } = describe()
  const parent = parentOf(stored)
  const span = tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes }, parent)
  // Without telemetry, and nothing to hand on, a context would be carried about, and an end be told, for nobody.
  if (!span.isRecording() && parent === ROOT_CONTEXT) return body(span)
  return context.with(trace.setSpan(parent, span), () => body(span)).finally(() => span.end())
}

function parentOf({ traceparent, tracestate }: StoredTrace) {
  if (!traceparent) return ROOT_CONTEXT
  return propagation.extract(ROOT_CONTEXT, { traceparent, ...(tracestate && { tracestate }) })
}

/** Marks a span as failed. */
export function failSpan(span: Span, code: string, message: string): void {
  span.setAttribute('error.type', code)
  span.setStatus({ code: SpanStatusCode.ERROR, message })
}
