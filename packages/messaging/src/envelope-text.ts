import type { EventType } from '@banyan/core'
import type { TraceAttributes } from './trace.ts'

/** What an event carries besides its type. */
export interface EventContent {
  readonly id: string
  readonly source: string
  readonly key: string
  /** RFC 3339. */
  readonly time: string
  readonly data: unknown
  readonly correlationId: string
  readonly causationId: string | undefined
  readonly trace: TraceAttributes
}

/**
 * The envelope of an event, as JSON. Put together from pieces: to have an object of it written takes twice as long, and whoever
 * waits for the COMMIT waits for that.
 *
 * @throws what writing the data throws, as for a bigint or a circle
 */
export function envelopeText({ name, version }: EventType, content: EventContent): string {
  const { id, source, key, time, data, correlationId, causationId, trace } = content
  const [quotedId, written] = [quoted(id), JSON.stringify(data)]
  // The name of a type has neither quotation marks nor backslashes.
  const head = `{"specversion":"1.0","id":${quotedId},"source":${quoted(source)},"type":"${name}","subject":${quoted(key)},"time":"${time}"`
  let text = `${head},"datacontenttype":"application/json","dataschema":"${name}/${version}"`
  if (written !== undefined) text += `,"data":${written}`
  if (trace.traceparent) text += traceText(trace.traceparent, trace.tracestate)
  text += `,"correlationid":${correlationId === id ? quotedId : quoted(correlationId)}`
  if (causationId !== undefined) text += `,"causationid":${quoted(causationId)}`
  return `${text}}`
}

function traceText(traceparent: string, tracestate: string | undefined): string {
  const parent = `,"traceparent":${quoted(traceparent)}`
  return tracestate ? `${parent},"tracestate":${quoted(tracestate)}` : parent
}

function quoted(text: string): string {
  return JSON.stringify(text)
}
