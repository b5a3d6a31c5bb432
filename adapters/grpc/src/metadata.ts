import { Metadata } from '@grpc/grpc-js'

/** What belongs to HTTP/1.1 or to the text of a body, or is said by gRPC in a way of its own. */
const NOT_METADATA = new Set([
  ...['accept', 'connection', 'content-encoding', 'content-length', 'content-type', 'host', 'keep-alive', 'te', 'transfer-encoding'],
  ...['user-agent', 'x-timeout-ms'],
])

const KEY = /^[0-9a-z_.-]+$/
const VALUE = /^[\x20-\x7e]*$/

/** Headers as metadata: trace context, authorization, idempotency key and whatever else goes with a call. */
export function metadataOf(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers)) {
    if (NOT_METADATA.has(name) || name.startsWith('grpc-') || name.endsWith('-bin')) continue
    if (KEY.test(name) && VALUE.test(value)) metadata.set(name, value)
  }
  return metadata
}

/** Metadata as headers, its binary values left out. More than one value is joined, as HTTP does. */
export function headersOf(metadata: Metadata): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of Object.keys(metadata.getMap())) {
    if (!name.endsWith('-bin') && !name.startsWith('grpc-')) headers[name] = metadata.get(name).join(', ')
  }
  return headers
}
