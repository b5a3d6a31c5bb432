import { type Logger, messageOf, type World } from '@banyan/core'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { GatewayError } from '../errors.ts'
import type { PluginContext } from './plugin.ts'

export interface JwksOptions {
  readonly url: string
  readonly fetch: PluginContext['fetch']
  readonly world: World
  readonly log: Logger
  /** After this the keys are fetched again, while the old ones serve on. Milliseconds. */
  readonly maxAgeMs: number
  /** The least time between two fetches for keys that are not in the set, and after a failed one. Milliseconds. */
  readonly coolDownMs: number
}

/** The keys of an issuer. */
export interface Jwks {
  /** @throws {GatewayError} `ERR_JWKS_UNAVAILABLE` (503) when the key may exist but the issuer cannot be asked */
  readonly find: JWTVerifyGetKey
  /** Another number when the keys have become others: what was checked with those before has to be checked again. Looks, when it is time. */
  version(): number
}

/**
 * The keys of an issuer, fetched when first needed and kept. A token signed with a key that is not known makes it look again (at
 * most every `coolDownMs`), so that rotated keys work at once. While the issuer is away, the keys known go on serving.
 *
 * @see RFC 7517
 */
export function jwks(options: JwksOptions): Jwks {
  const { url, fetch, world, log, maxAgeMs, coolDownMs } = options
  let keys: ReturnType<typeof createLocalJWKSet> | undefined
  let fetched: { readonly text: string; readonly version: number } = { text: '', version: 0 }
  let fetchedAt = Number.NEGATIVE_INFINITY
  let failure: { readonly at: number; readonly error: unknown } | undefined
  let loading: Promise<void> | undefined

  async function fetchKeys(): Promise<void> {
    try {
      const { status, text } = await fetch(url, { timeoutMs: 5_000, maxBytes: 1_048_576 })
      if (status !== 200) throw new Error(`it answered with ${status}`)
      // createLocalJWKSet checks the shape.
      keys = createLocalJWKSet(JSON.parse(text) as JSONWebKeySet)
      if (text !== fetched.text) fetched = { text, version: fetched.version + 1 }
      fetchedAt = world.monotonic()
      failure = undefined
    } catch (error) {
      failure = { at: world.monotonic(), error }
      log.warn({ url, error: messageOf(error) }, `cannot fetch the key set ${url}`)
    }
  }

  function load(): Promise<void> {
    loading ??= fetchKeys().finally(() => {
      loading = undefined
    })
    return loading
  }

  const isCooling = () => failure !== undefined && world.monotonic() - failure.at < coolDownMs

  function unavailable(): GatewayError {
    return new GatewayError('ERR_JWKS_UNAVAILABLE', 'the keys that tokens are checked with cannot be fetched now', {
      status: 503,
      retryAfterMs: coolDownMs,
      cause: failure?.error,
    })
  }

  function lookWhenDue(): void {
    // Not awaited: the old keys serve this request, and fetchKeys never rejects.
    if (keys && world.monotonic() - fetchedAt > maxAgeMs && !isCooling()) void load()
  }

  const find: JWTVerifyGetKey = async (header, token) => {
    if (!keys && !isCooling()) await load()
    if (!keys) throw unavailable()
    lookWhenDue()
    try {
      return await keys(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      const mayLook = world.monotonic() - fetchedAt >= coolDownMs && !isCooling()
      if (mayLook) await load()
      if (failure) throw unavailable()
      return keys(header, token)
    }
  }

  return {
    find,
    version() {
      lookWhenDue()
      return fetched.version
    },
  }
}
