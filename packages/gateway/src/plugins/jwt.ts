import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose'
import { type EitherShape, integer, list, oneOf, text } from '../config-shape.ts'
import type { GatewayResponse } from '../exchange.ts'
import { type HeaderList, headerOf } from '../headers.ts'
import { problem } from '../problem.ts'
import { identified, identityHeaders, missingScopes } from './identity.ts'
import { jwks } from './jwks.ts'
import type { Plugin } from './plugin.ts'
import { tokenCache } from './token-cache.ts'

/** Which tokens are accepted. */
export interface JwtConfig {
  /** The address of the issuer's key set: `https://...`, or `service://users/.well-known/jwks.json` by discovery. */
  jwks: string
  /** The token must be for one of these. Default: not checked. */
  audience?: string | readonly string[]
  /** The token must be from one of these. Default: not checked. */
  issuer?: string | readonly string[]
  /** Default: RS256, PS256, ES256, EdDSA. Only algorithms with a public key can be named. */
  algorithms?: readonly string[]
  /** Scopes that the token must all have. Default: none. */
  scopes?: readonly string[]
  /** How far clocks may differ, seconds. Default 5. */
  clock_skew_s?: number
  /** How long keys serve before they are fetched again, seconds. Default 600. */
  cache_s?: number
}

/** The codes of the plugin's problems. */
export type JwtProblemCode = 'ERR_JWT_MISSING' | 'ERR_JWT_EXPIRED' | 'ERR_JWT_INVALID' | 'ERR_JWT_SCOPE'

const oneOrMore: EitherShape = {
  kind: 'either',
  of: [text('a text'), list(text('a text'), 'text', 1)],
  wanted: 'a text or a list of texts',
}

// Never HS*: a key set is public, so anybody could sign with what is in it.
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const

/**
 * Lets only requests with a valid bearer token through, and tells the service who calls: `x-auth-subject` (the `sub`,
 * percent-encoded where it is not plain ASCII), `x-auth-scopes` (space-separated), `x-auth-claims` (all claims, JSON in base64url).
 * Tokens must expire. A token that was accepted is not checked again until it expires or the keys change (the last 10,000). A client's own `x-auth-*` headers never pass any route.
 *
 * @see RFC 6750, RFC 7519, RFC 8725
 */
export const jwt: Plugin<JwtConfig> = {
  config: {
    kind: 'map',
    keys: {
      jwks: {
        shape: text('http(s)://... or service://name/path', isKeySetAddress),
        required: true,
        about:
          'the address of the key set, as in config: { jwks: "https://users.example/.well-known/jwks.json" }, or once for all routes in a top-level "jwt:"',
      },
      audience: { shape: oneOrMore, about: 'whom the token must be for' },
      issuer: { shape: oneOrMore, about: 'whom the token must be from' },
      algorithms: { shape: list(oneOf(...ALGORITHMS), 'algorithm', 1), about: 'how the token may be signed' },
      scopes: { shape: list(text('a scope'), 'scope', 1), about: 'what the token must allow' },
      clock_skew_s: { shape: integer(0, 300), about: 'how far clocks may differ' },
      cache_s: { shape: integer(1, 86_400), about: 'how long keys serve' },
    },
  },
  shared: true,
  create(config, { world, log, fetch }) {
    const { scopes = [], cache_s = 600 } = config
    const keys = jwks({ url: config.jwks, fetch, world, log, maxAgeMs: cache_s * 1_000, coolDownMs: 5_000 })
    const options = verifyOptions(config)
    const skewMs = (config.clock_skew_s ?? DEFAULT_SKEW_S) * 1_000
    const cache = tokenCache<Accepted>({ maxTokens: 10_000, maxLength: 4_096 })
    let version = keys.version()

    /** What an earlier check of the same token by the same keys found, while it has not expired. */
    function acceptedBefore(token: string): Accepted | undefined {
      const now = keys.version()
      if (now !== version) cache.clear()
      version = now
      const known = cache.get(token)
      return known && world.now() < known.expiresAt + skewMs ? known : undefined
    }

    async function accept(token: string): Promise<Accepted | GatewayResponse> {
      const checkedBy = keys.version()
      try {
        const payload = await payloadOf(token, keys.find, { ...options, currentDate: new Date(world.now()) })
        // jose leaves the type of "sub" unchecked; a claim that is no text names nobody.
        if (payload.sub !== undefined && typeof payload.sub !== 'string')
          return unauthorized('ERR_JWT_INVALID', 'the token cannot be accepted: "sub" is no text')
        const accepted = acceptedOf(payload)
        // Keys may have become others meanwhile, and this may be one that they took away.
        if (keys.version() === checkedBy) cache.set(token, accepted)
        return accepted
      } catch (error) {
        if (error instanceof errors.JWTExpired) return unauthorized('ERR_JWT_EXPIRED', 'the token has expired; get a new one')
        if (error instanceof errors.JOSEError) return unauthorized('ERR_JWT_INVALID', `the token cannot be accepted: ${error.message}`)
        throw error
      }
    }

    return (next) => async (request) => {
      const token = BEARER.exec(headerOf(request.headers, 'authorization') ?? '')?.[1]
      if (token === undefined) return unauthorized('ERR_JWT_MISSING', 'this needs a token: send "Authorization: Bearer <token>"')
      const accepted = acceptedBefore(token) ?? (await accept(token))
      if ('status' in accepted) return accepted
      const missing = missingScopes(scopes, accepted.scopes)
      if (missing.length > 0) return forbidden(missing)
      return next(identified(request, accepted.subject, accepted.identity))
    }
  },
}

const DEFAULT_SKEW_S = 5
const BEARER = /^Bearer +([\w.~+/=-]+)$/i

/** A token whose signature, times, issuer and audience are right. */
interface Accepted {
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  readonly subject: string | undefined
  readonly scopes: readonly string[]
  /** What the service is told. */
  readonly identity: HeaderList
}

function verifyOptions({
  algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'],
  audience,
  issuer,
  clock_skew_s = DEFAULT_SKEW_S,
}: JwtConfig): JWTVerifyOptions {
  const listOf = (value: string | readonly string[]) => (typeof value === 'string' ? [value] : [...value])
  return {
    algorithms: [...algorithms],
    clockTolerance: clock_skew_s,
    requiredClaims: ['exp'],
    ...(audience !== undefined && { audience: listOf(audience) }),
    ...(issuer !== undefined && { issuer: listOf(issuer) }),
  }
}

/** What a good token says. One without a key id is good by any of the keys that fit it. */
async function payloadOf(token: string, find: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, find, options)).payload
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      try {
        return (await jwtVerify(token, key, options)).payload
      } catch (wrong) {
        if (!(wrong instanceof errors.JWSSignatureVerificationFailed)) throw wrong
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

/** `scope` is a text with blanks (RFC 8693); some issuers use a list `scp`. */
function scopesOf({ scope, scp }: JWTPayload): string[] {
  const value = scope ?? scp
  if (typeof value === 'string') return value.split(' ').filter(Boolean)
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}

function acceptedOf(payload: JWTPayload): Accepted {
  const { sub, exp = 0 } = payload
  const scopes = scopesOf(payload)
  const identity: HeaderList = [
    ...identityHeaders(sub, scopes),
    'x-auth-claims',
    Buffer.from(JSON.stringify(payload)).toString('base64url'),
  ]
  return { expiresAt: exp * 1_000, subject: sub, scopes, identity }
}

function unauthorized(code: JwtProblemCode, detail: string): GatewayResponse {
  // RFC 6750, 3.1: a request without a token is not told an error code.
  const challenge = code === 'ERR_JWT_MISSING' ? 'Bearer' : `Bearer error="invalid_token", error_description="${quotable(detail)}"`
  return problem({ status: 401, code, detail, headers: ['www-authenticate', challenge] })
}

function forbidden(missing: readonly string[]): GatewayResponse {
  const scope = missing.join(' ')
  const challenge = `Bearer error="insufficient_scope", scope="${quotable(scope)}"`
  return problem({
    status: 403,
    code: 'ERR_JWT_SCOPE',
    detail: `the token lacks the scope ${scope}`,
    headers: ['www-authenticate', challenge],
  })
}

function quotable(value: string): string {
  return value.replace(/["\\]/g, "'").replace(/[^ -~]/g, '?')
}

function isKeySetAddress(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, username, password } = new URL(value)
  return hostname !== '' && username === '' && password === '' && ['http:', 'https:', 'service:'].includes(protocol)
}
