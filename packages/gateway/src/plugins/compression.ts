import { pipeline, Readable, type Transform } from 'node:stream'
import { promisify } from 'node:util'
import { brotliCompress, constants, createBrotliCompress, createGzip, gzip } from 'node:zlib'
import { integer, list, oneOf, text } from '../config-shape.ts'
import type { GatewayResponse } from '../exchange.ts'
import { headerOf, headerValues, withHeader, withoutHeaders } from '../headers.ts'
import { chooseEncoding } from './accept-encoding.ts'
import type { Plugin } from './plugin.ts'

/** Which answers are compressed. */
export interface CompressionConfig {
  /** In the order in which they are taken when a client wants several alike. Default: br, gzip. */
  algorithms?: readonly Algorithm[]
  /** Shorter answers are left as they are, where their length is known. Default 1,024. */
  min_bytes?: number
  /** Content types; `text/*` for all of a kind. Default: text, JSON, XML, JavaScript, SVG, WebAssembly. Never `text/event-stream`. */
  types?: readonly string[]
}

type Algorithm = 'br' | 'gzip'

const TYPES = [
  'text/*',
  'application/json',
  'application/*+json',
  'application/xml',
  'application/*+xml',
  'application/javascript',
  'image/svg+xml',
  'application/wasm',
]

/** Brotli's best takes a hundred times as long as this, for a tenth less. */
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }

const whole: Readonly<Record<Algorithm, (bytes: Uint8Array) => Promise<Buffer>>> = {
  br: (bytes) => promisify(brotliCompress)(bytes, QUALITY),
  gzip: (bytes) => promisify(gzip)(bytes),
}

/**
 * Compresses answers for clients that want it. Leaves alone what has an encoding or a digest, is a part (206), or must not be changed
 * (`no-transform`). An answer that the service cuts short is cut for the client too.
 *
 * @see RFC 9110, sections 8.4 and 12.5.3
 */
export const compression: Plugin<CompressionConfig> = {
  config: {
    kind: 'map',
    keys: {
      algorithms: { shape: list(oneOf('br', 'gzip'), 'algorithm', 1), about: 'how answers may be compressed, best first' },
      min_bytes: { shape: integer(0, 1_073_741_824), about: 'what is shorter is left as it is' },
      types: {
        shape: list(
          text('a content type, as in "text/*" or "application/json"', (type) => /^[a-z]+\/(?:\*|[\w.*+-]+)$/.test(type)),
          'type',
          1,
        ),
        about: 'which content types are compressed',
      },
    },
  },
  shared: true,
  create({ algorithms = ['br', 'gzip'], min_bytes: minBytes = 1_024, types = TYPES }) {
    const isCompressible = typeMatcher(types)
    return (next) => async (request) => {
      const response = await next(request)
      if (!mayChange(response) || !isCompressible(headerOf(response.headers, 'content-type') ?? '')) return response
      // Caches must know that it depends on the request, also where this one gets it as it is.
      const varied = { ...response, headers: withVary(response.headers) }
      const encoding = chooseEncoding(headerValues(request.headers, 'accept-encoding').join(',') || undefined, algorithms)
      const isHead = request.method === 'HEAD'
      if (encoding === undefined || lengthOf(response, isHead) < Math.max(1, minBytes)) return varied
      return compressed(varied, encoding, isHead)
    }
  },
}

/** Headers that hold of the bytes as they are; the digests would be wrong of others. @see RFC 9530 */
const SEALED = ['content-encoding', 'content-range', 'content-digest', 'repr-digest', 'digest', 'content-md5']

function mayChange({ status, headers, tunnel }: GatewayResponse): boolean {
  if (tunnel || status < 200 || status === 204 || status === 206 || status === 304) return false
  if (SEALED.some((name) => headerOf(headers, name) !== undefined)) return false
  return !headerValues(headers, 'cache-control').some((value) => /\bno-transform\b/i.test(value))
}

function typeMatcher(types: readonly string[]): (contentType: string) => boolean {
  const patterns = types.map((type) => new RegExp(`^${type.replace(/[.+]/g, '\\$&').replaceAll('*', '[^;]*')}$`))
  return (contentType) => {
    const type = (contentType.split(';')[0] ?? '').trim().toLowerCase()
    // Its events are to arrive one by one.
    return type !== 'text/event-stream' && patterns.some((pattern) => pattern.test(type))
  }
}

/** As far as it is known; of a stream of unknown length, enough. */
function lengthOf({ body, headers }: GatewayResponse, isHead: boolean): number {
  const announced = headerOf(headers, 'content-length')
  if (isHead) return announced === undefined ? Number.POSITIVE_INFINITY : Number(announced)
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body !== undefined && !(body instanceof Readable)) return body.length
  return announced === undefined ? (body === undefined ? 0 : Number.POSITIVE_INFINITY) : Number(announced)
}

async function compressed(response: GatewayResponse, encoding: Algorithm, isHead: boolean): Promise<GatewayResponse> {
  const { body } = response
  const headers = withHeader(
    withWeakTag(withoutHeaders(response.headers, (name) => name === 'content-length')),
    'content-encoding',
    encoding,
  )
  // An answer to HEAD says what GET would say.
  if (isHead || body === undefined) return { ...response, headers }
  if (body instanceof Readable) return { ...response, headers, body: through(body, encoding) }
  return { ...response, headers, body: await whole[encoding](typeof body === 'string' ? Buffer.from(body) : body) }
}

/** Either side takes the other down with it: a body that is cut never looks whole. */
function through(source: Readable, encoding: Algorithm): Readable {
  // A piece that is held back until there is more to compress could be the one that the client waits for.
  const transform: Transform =
    encoding === 'br'
      ? createBrotliCompress({ ...QUALITY, flush: constants.BROTLI_OPERATION_FLUSH })
      : createGzip({ flush: constants.Z_SYNC_FLUSH })
  // Whoever reads the transform hears of it.
  pipeline(source, transform, () => undefined)
  return transform
}

/** The bytes are others, the content is not. */
function withWeakTag(headers: readonly string[]): readonly string[] {
  const tag = headerOf(headers, 'etag')
  return tag?.startsWith('"') ? withHeader(headers, 'etag', `W/${tag}`) : headers
}

function withVary(headers: readonly string[]): readonly string[] {
  const values = headerValues(headers, 'vary')
  const named = values.flatMap((value) => value.split(',')).map((name) => name.trim().toLowerCase())
  if (named.includes('*') || named.includes('accept-encoding')) return headers
  return withHeader(headers, 'vary', [...values, 'Accept-Encoding'].join(', '))
}
