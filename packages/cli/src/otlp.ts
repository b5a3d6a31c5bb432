/** A span as people look at it. */
export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  /** The Banyan service it ran in; where several share a process, the one it worked for. */
  readonly service: string | undefined
  /** Milliseconds since 1970, with fractions. */
  readonly startMs: number
  readonly durationMs: number
  readonly failed: boolean
}

/**
 * The spans of an OTLP export request in its JSON form. What does not look like a span is passed over: a collector takes what
 * it can read.
 *
 * @see https://github.com/open-telemetry/opentelemetry-proto/blob/main/docs/specification.md
 */
export function otlpSpans(request: unknown): readonly Span[] {
  const found: Span[] = []
  for (const resourceSpans of listAt(request, 'resourceSpans')) {
    const resource = attributeOf(fieldOf(resourceSpans, 'resource'), 'service.name')
    for (const scopeSpans of listAt(resourceSpans, 'scopeSpans')) {
      for (const span of listAt(scopeSpans, 'spans')) {
        const read = readSpan(span, resource)
        if (read) found.push(read)
      }
    }
  }
  return found
}

const STATUS_ERROR = 2

function readSpan(span: unknown, resource: string | undefined): Span | undefined {
  const traceId = textAt(span, 'traceId')
  const spanId = textAt(span, 'spanId')
  const startMs = msAt(span, 'startTimeUnixNano')
  const endMs = msAt(span, 'endTimeUnixNano')
  if (!traceId || !spanId || startMs === undefined || endMs === undefined) return undefined
  return {
    traceId,
    spanId,
    parentSpanId: textAt(span, 'parentSpanId') || undefined,
    name: textAt(span, 'name') ?? '',
    service: attributeOf(span, 'banyan.service') ?? resource,
    startMs,
    durationMs: endMs - startMs,
    failed: fieldOf(fieldOf(span, 'status'), 'code') === STATUS_ERROR,
  }
}

/** Nanoseconds come as text, being larger than a number is exact; milliseconds keep their fractions. */
function msAt(value: unknown, name: string): number | undefined {
  const field = fieldOf(value, name)
  if (typeof field === 'number') return field / 1e6
  if (typeof field !== 'string' || !/^\d+$/.test(field)) return undefined
  return Number(BigInt(field) / 1_000n) / 1_000
}

function attributeOf(value: unknown, key: string): string | undefined {
  const attribute = listAt(value, 'attributes').find((one) => fieldOf(one, 'key') === key)
  return textAt(fieldOf(attribute, 'value'), 'stringValue')
}

function textAt(value: unknown, name: string): string | undefined {
  const field = fieldOf(value, name)
  return typeof field === 'string' ? field : undefined
}

function listAt(value: unknown, name: string): readonly unknown[] {
  const field = fieldOf(value, name)
  return Array.isArray(field) ? field : []
}

function fieldOf(value: unknown, name: string): unknown {
  // Any object can be asked for any name; what comes is unknown again.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
