import { Readable } from 'node:stream'
import { GatewayError } from './errors.ts'

/**
 * Reads a body to its end.
 *
 * @throws {GatewayError} `ERR_UPSTREAM_INVALID` (502) beyond `maxBytes`, `ERR_UPSTREAM_FAILED` (502) when it is cut short
 */
export async function readText(body: Uint8Array | Readable | undefined, maxBytes: number): Promise<string> {
  if (!(body instanceof Readable)) return wholeText(body ?? new Uint8Array(), maxBytes)
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of body) {
      // A Readable's chunks are typed any; upstream bodies are of Buffers.
      const buffer = chunk as Buffer
      bytes += buffer.length
      if (bytes > maxBytes) throw tooLarge(maxBytes)
      chunks.push(buffer)
    }
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    throw new GatewayError('ERR_UPSTREAM_FAILED', 'the answer was cut short', { status: 502, cause })
  }
  return Buffer.concat(chunks).toString('utf8')
}

function wholeText(body: Uint8Array, maxBytes: number): string {
  if (body.length > maxBytes) throw tooLarge(maxBytes)
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
}

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError('ERR_UPSTREAM_INVALID', `the answer has more than ${maxBytes} bytes`, { status: 502 })
}
