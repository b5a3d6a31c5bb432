import { type BooleanShape, integer, list, oneOf, text } from '../config-shape.ts'
import { type HeaderList, headerOf, headerValues, withHeader, withoutHeaders } from '../headers.ts'
import type { Plugin } from './plugin.ts'

/** Which pages of other origins may call. */
export interface CorsConfig {
  /** `https://shop.example`; `*` for all. */
  origins: readonly string[]
  /** Default: GET, HEAD, POST, PUT, PATCH, DELETE. */
  methods?: readonly string[]
  /** Request headers that pages may set. Default: those they ask for. */
  headers?: readonly string[]
  /** Response headers that pages may read. Default: none besides the safe ones. */
  expose?: readonly string[]
  /** Whether cookies are sent along. Default false. */
  credentials?: boolean
  /** How long a browser remembers the answer, seconds. Default 600. */
  max_age_s?: number
}

const flag: BooleanShape = { kind: 'boolean' }
const headerName = text('the name of a header', (name) => /^[\w-]+$/.test(name))
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/**
 * Answers preflights and marks answers for pages of other origins. Place it before plugins that authenticate: a preflight has no
 * credentials.
 *
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export const cors: Plugin<CorsConfig> = {
  config: {
    kind: 'map',
    keys: {
      origins: {
        shape: list(text('an origin, as in "https://shop.example", or "*"', isOrigin), 'origin', 1),
        required: true,
        about: 'which pages may call',
      },
      methods: { shape: list(oneOf(...METHODS), 'method', 1), about: 'with which methods' },
      headers: { shape: list(headerName, 'header'), about: 'which request headers they may set' },
      expose: { shape: list(headerName, 'header'), about: 'which response headers they may read' },
      credentials: { shape: flag, about: 'whether cookies are sent along' },
      max_age_s: { shape: integer(0, 86_400), about: 'how long a browser remembers' },
    },
    rules: [
      ({ origins, credentials }) =>
        credentials === true && Array.isArray(origins) && origins.includes('*')
          ? { key: 'credentials', message: 'has "credentials" for all origins; browsers refuse that: name the origins' }
          : undefined,
    ],
  },
  methods: ['OPTIONS'],
  create(config) {
    const { origins, methods = METHODS, max_age_s = 600 } = config
    return (next) => async (request) => {
      const origin = headerOf(request.headers, 'origin')
      const isAllowed = origin !== undefined && (origins.includes('*') || origins.includes(origin))
      const asked = headerOf(request.headers, 'access-control-request-method')
      if (request.method === 'OPTIONS' && origin !== undefined && asked !== undefined) {
        if (!isAllowed) return { status: 204, headers: ['vary', 'origin'] }
        const wanted = config.headers?.join(', ') ?? headerOf(request.headers, 'access-control-request-headers')
        const preflight = ['access-control-allow-methods', methods.join(', '), 'access-control-max-age', String(max_age_s)]
        if (wanted) preflight.push('access-control-allow-headers', wanted)
        return { status: 204, headers: [...allow(config, origin), ...preflight, 'vary', 'origin, access-control-request-headers'] }
      }
      const response = await next(request)
      const own = withoutHeaders(response.headers, (name) => name.startsWith('access-control-'))
      const vary = [...headerValues(own, 'vary'), 'origin'].join(', ')
      const exposed = config.expose?.length ? ['access-control-expose-headers', config.expose.join(', ')] : []
      return { ...response, headers: [...withHeader(own, 'vary', vary), ...(isAllowed ? [...allow(config, origin), ...exposed] : [])] }
    }
  },
}

function allow({ origins, credentials }: CorsConfig, origin: string): HeaderList {
  const value = origins.includes('*') ? '*' : origin
  return ['access-control-allow-origin', value, ...(credentials ? ['access-control-allow-credentials', 'true'] : [])]
}

function isOrigin(value: string): boolean {
  return value === '*' || (URL.canParse(value) && new URL(value).origin === value)
}
