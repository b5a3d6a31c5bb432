import type { HonoRequest } from 'hono'
import { ServiceError } from './errors.ts'
import { bodyTooLarge } from './stray.ts'

/**
 * The body of a request as text, read no further than `maxBytes`.
 *
 * @throws {ServiceError} `ERR_BODY_TOO_LARGE` (413), `ERR_BODY_INCOMPLETE` (400) when the client broke off, `ERR_JSON_INVALID`
 *   (400) for bytes that are no UTF-8
 */
export async function readBody(request: HonoRequest, maxBytes: number): Promise<string | undefined> {
  const length = request.header('content-length')
  if (length === undefined && request.header('transfer-encoding') === undefined) return undefined
  if (request.method === 'GET' || request.method === 'HEAD') return undefined
  if (Number(length ?? 0) > maxBytes) throw bodyTooLarge(maxBytes)
  const bytes = length === undefined ? await readChunks(request, maxBytes) : await complete(request.arrayBuffer())
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ServiceError('ERR_JSON_INVALID', 'the body is not UTF-8', { status: 400, cause })
  }
}

/** The length is not known beforehand: counts while reading. */
async function readChunks(request: HonoRequest, maxBytes: number): Promise<Uint8Array> {
  const reader = request.raw.body?.getReader()
  const chunks: Uint8Array[] = []
  let bytes = 0
  for (;;) {
    const next = await complete(reader?.read() ?? Promise.resolve({ done: true, value: undefined }))
    if (!next.value) return Buffer.concat(chunks)
    chunks.push(next.value)
    bytes += next.value.byteLength
    if (bytes > maxBytes) throw bodyTooLarge(maxBytes)
  }
}

async function complete<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (cause) {
    throw new ServiceError('ERR_BODY_INCOMPLETE', 'the connection broke off before the body was complete', { status: 400, cause })
  }
}
