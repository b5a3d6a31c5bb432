import { createHash } from 'node:crypto'
import { type BooleanShape, list, type MapShape, text } from '../config-shape.ts'
import type { GatewayRequest, GatewayResponse } from '../exchange.ts'
import { isForwardedHeader } from '../forwarded.ts'
import { headerValues, isHopByHop, isIdentityHeader, withoutHeaders } from '../headers.ts'
import { problem } from '../problem.ts'
import { identified, identityHeaders, missingScopes } from './identity.ts'
import type { Plugin } from './plugin.ts'

/** Who may call with which key. */
export interface KeyAuthConfig {
  keys: readonly KeyConfig[]
  /** The header that has the key. Default `x-api-key`. */
  header?: string
  /** A parameter of the query that may have it instead, for clients that cannot set headers: such keys end up in logs. Default: none. */
  query?: string
  /** Whether the service gets the key. Default false. */
  pass_on?: boolean
  /** Scopes that the key must all have. Default: none. */
  scopes?: readonly string[]
}

/** One key. */
export interface KeyConfig {
  /** Whose it is: the subject that limits, logs and services see. */
  name: string
  /** `sha256:` and 64 hexadecimal digits, as `banyan gateway new-key` prints them. The key itself stands nowhere. */
  hash: string
  scopes?: readonly string[]
}

/** The codes of the plugin's problems. */
export type KeyAuthProblemCode = 'ERR_KEY_MISSING' | 'ERR_KEY_INVALID' | 'ERR_KEY_SCOPE'

const flag: BooleanShape = { kind: 'boolean' }
const keyShape: MapShape<keyof KeyConfig> = {
  kind: 'map',
  keys: {
    name: { shape: text('a name'), required: true, about: 'whose key it is' },
    hash: {
      shape: text('"sha256:" and 64 hexadecimal digits, as "banyan gateway new-key" prints them', (value) =>
        /^sha256:[0-9a-f]{64}$/.test(value),
      ),
      required: true,
      about: 'the hash of the key',
    },
    scopes: { shape: list(text('a scope'), 'scope', 1), about: 'what the key allows' },
  },
}

/**
 * Lets only requests with a known API key through, and tells the service whose it is: `x-auth-subject`, `x-auth-scopes`. Keys are known by
 * their hashes; what is looked up is a hash too, so that the time it takes says nothing of a key.
 */
export const keyAuth: Plugin<KeyAuthConfig> = {
  config: {
    kind: 'map',
    keys: {
      keys: { shape: list(keyShape, 'key', 1), required: true, about: 'who may call, as in keys: [{ name: partner, hash: "sha256:..." }]' },
      header: {
        shape: text('the name of a header that comes through as the client sent it, as in "x-api-key"; not "x-auth-..."', comesThrough),
        about: 'the header that has the key',
      },
      query: {
        shape: text('the name of a parameter, as in "api_key"', (name) => /^[\w.-]+$/.test(name)),
        about: 'a parameter of the query that may have the key',
      },
      pass_on: { shape: flag, about: 'whether the service gets the key' },
      scopes: { shape: list(text('a scope'), 'scope', 1), about: 'what the key must allow' },
    },
    rules: [
      (config) => {
        const hashes = (config.keys as readonly KeyConfig[]).map(({ hash }) => hash)
        const twice = hashes.findIndex((hash, index) => hashes.indexOf(hash) !== index)
        return twice < 0
          ? undefined
          : { key: 'keys', index: twice, message: `has the key of "${(config.keys as readonly KeyConfig[])[twice]?.name}" twice` }
      },
    ],
  },
  shared: true,
  create(config) {
    const { header = 'x-api-key', query, pass_on = false, scopes = [] } = config
    const known = new Map(config.keys.map((key) => [key.hash, key]))
    const name = header.toLowerCase()

    return (next) => async (request) => {
      const given = [...headerValues(request.headers, name), ...(query === undefined ? [] : valuesIn(request.query, query))]
      const [only] = given
      if (only === undefined) return refused(401, 'ERR_KEY_MISSING', `this needs an API key: send it as "${header}"`)
      // Of two, which one counts would be a matter of luck.
      if (given.length > 1) return refused(401, 'ERR_KEY_INVALID', 'the request has more than one API key')
      const key = known.get(`sha256:${createHash('sha256').update(only).digest('hex')}`)
      if (!key) return refused(401, 'ERR_KEY_INVALID', 'the API key is not known')
      const granted = key.scopes ?? []
      const missing = missingScopes(scopes, granted)
      if (missing.length > 0) return refused(403, 'ERR_KEY_SCOPE', `the API key lacks the scope ${missing.join(' ')}`)
      const hidden = pass_on ? request : withoutKey(request, name, query)
      return next(identified(hidden, key.name, identityHeaders(key.name, granted)))
    }
  },
}

/** Whether a client's own header of this name gets as far as the plugins: with another one, no key would ever be found. */
function comesThrough(name: string): boolean {
  const lowerCase = name.toLowerCase()
  const isOurs = isHopByHop(lowerCase) || isForwardedHeader(lowerCase) || isIdentityHeader(lowerCase)
  return /^[\w-]+$/.test(name) && !isOurs && !/^(?:host|via|x-request-id)$/.test(lowerCase)
}

function withoutKey(request: GatewayRequest, header: string, query: string | undefined): GatewayRequest {
  const headers = withoutHeaders(request.headers, (name) => name === header)
  return query === undefined ? { ...request, headers } : { ...request, headers, query: withoutParameter(request.query, query) }
}

/** The values of a parameter, decoded. */
function valuesIn(query: string, name: string): string[] {
  return new URLSearchParams(query).getAll(name)
}

/** The others stay as they were, byte for byte. */
function withoutParameter(query: string, name: string): string {
  const parts = query.slice(1).split('&')
  const kept = parts.filter((part) => !new URLSearchParams(part).has(name))
  if (kept.length === parts.length) return query
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

function refused(status: 401 | 403, code: KeyAuthProblemCode, detail: string): GatewayResponse {
  return problem({ status, code, detail, headers: status === 401 ? ['www-authenticate', 'ApiKey'] : [] })
}
