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
export function inStoredTrace<T>(stored: StoredTrace, name: string, attributes: Attributes, body: (span: Span) => Promise<T>): Promise<T> {
  const carrier = {
    ...(stored.traceparent && { traceparent: stored.traceparent }),
    ...(stored.tracestate && { tracestate: stored.tracestate }),
  }
  const parent = propagation.extract(ROOT_CONTEXT, carrier)
  return trace.getTracer('@banyan/saga').startActiveSpan(name, { kind: SpanKind.INTERNAL, attributes }, parent, async (span) => {
    try {
      return await body(span)
    } finally {
      span.end()
    }
  })
}

/** Marks a span as failed. */
export function failSpan(span: Span, code: string, message: string): void {
  span.setAttribute('error.type', code)
  span.setStatus({ code: SpanStatusCode.ERROR, message })
}
