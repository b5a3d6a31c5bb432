import { type Logger, messageOf, type World } from '@banyan/core'
import { createClient } from '@redis/client'
import { RedisError } from './redis-error.ts'

export interface RedisConnectionOptions {
  readonly url: string
  readonly connectTimeoutMs: number
  /** An open connection on which nothing has come for so long, not even the answer to a ping, is replaced, milliseconds. Default 10,000. */
  readonly silenceMs?: number
  readonly world: World
  readonly log: Logger
}

/** One connection, opened when it is first needed and again whenever it breaks. */
export interface RedisConnection {
  /**
   * Sends a command; those of one turn of the event loop go in one write.
   *
   * @param stallMs an answer that is this late means that those behind it are late too: they are not waited for
   * @throws {RedisError} `ERR_REDIS_UNREACHABLE` at once while there is no connection or no answer comes, `ERR_REDIS_REFUSED` for an error
   *   that Redis answered with
   */
  send(command: readonly string[], stallMs: number): Promise<unknown>
  close(): Promise<void>
}

/** Reconnecting begins with this pause, which doubles up to the second number, milliseconds. */
const BACKOFF_MS = [50, 2_000] as const

/** Creates a {@link RedisConnection}. That Redis is away is said once, and that it is back. */
export function redisConnection(options: RedisConnectionOptions): RedisConnection {
  const { url, connectTimeoutMs, silenceMs = 10_000, world, log } = options
  // Without user and password: it stands in logs.
  const place = new URL(url).host
  const client = clientOf(url, connectTimeoutMs, silenceMs)
  let opening: Promise<void> | undefined
  let isAway = false
  let isClosed = false
  /** Commands without an answer, and since when nothing has come. */
  let waiting = 0
  let quietSince = 0
  let readySince = 0

  function lost(error: unknown): void {
    // A ping that is cut off by closing says nothing, and one that Redis does not allow is an answer too.
    if (isClosed || (client.isReady && isReply(error))) return
    if (!isAway) log.warn({ redis: place, error: messageOf(error) }, `cannot reach Redis at ${place}: ${messageOf(error)}; trying on`)
    isAway = true
  }

  client.on('error', lost)
  // The client goes on connecting when it is closed meanwhile.
  client.on('connect', () => {
    if (isClosed) client.destroy()
  })
  client.on('ready', () => {
    if (isAway) log.info({ redis: place }, `Redis at ${place} is back`)
    isAway = false
    readySince = world.monotonic()
  })

  function unreachable(what: string, cause?: unknown): RedisError {
    return new RedisError('ERR_REDIS_UNREACHABLE', `cannot reach Redis at "${place}": ${what}`, { cause, retryAfterMs: 1_000 })
  }

  async function ask(command: readonly string[], stallMs: number): Promise<unknown> {
    const now = world.monotonic()
    if (waiting === 0) quietSince = now
    else if (now - quietSince > stallMs) throw unreachable(`no answer for ${Math.round(now - quietSince)} ms`)
    waiting += 1
    try {
      return await client.sendCommand([...command])
    } finally {
      waiting -= 1
      quietSince = world.monotonic()
    }
  }

  /** Until it is open or has failed for the first time: from then on the client tries on by itself. */
  const open = () => opened(client, { connectTimeoutMs, world, lost })

  /** A failover made it a copy of another: where its name leads now, only a new connection finds out. Not at each take, if it is the same. */
  function reopen(why: unknown): void {
    if (!client.isReady || world.monotonic() - readySince < silenceMs) return
    client.destroy()
    lost(why)
    opening = open()
    opening.catch(() => undefined)
  }

  return {
    async send(command, stallMs) {
      if (isClosed) throw unreachable('the connection was closed')
      opening ??= open()
      // Only the first ones wait: later ones find a connection or go without.
      if (!client.isReady && !isAway) await opening.catch((error) => Promise.reject(unreachable(messageOf(error), error)))
      if (!client.isReady) throw unreachable('there is no connection now')
      try {
        return await ask(command, stallMs)
      } catch (error) {
        if (error instanceof RedisError) throw error
        if (messageOf(error).includes('READONLY')) reopen(error)
        if (isReply(error)) throw new RedisError('ERR_REDIS_REFUSED', `Redis at "${place}" answered: ${messageOf(error)}`, { cause: error })
        throw unreachable(messageOf(error), error)
      }
    },
    async close() {
      isClosed = true
      // Also while it opens: then that fails, as nobody waits for it any more.
      opening?.catch(() => undefined)
      if (client.isOpen) client.destroy()
    },
  }
}

interface OpeningRules {
  readonly connectTimeoutMs: number
  readonly world: World
  readonly lost: (error: unknown) => void
}

function opened(client: ReturnType<typeof clientOf>, { connectTimeoutMs, world, lost }: OpeningRules): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  client.once('ready', resolve).once('error', reject)
  // Only rejects where it is closed before it was open, and then nobody waits.
  client.connect().catch(reject)
  // One that is paused accepts connections and says nothing: the client would wait for ever.
  const timer = world.after(connectTimeoutMs, () => {
    const silent = new Error(`no answer within ${connectTimeoutMs} ms`)
    lost(silent)
    reject(silent)
  })
  return promise.finally(() => {
    timer.cancel()
    client.off('ready', resolve).off('error', reject)
  })
}

function clientOf(url: string, connectTimeoutMs: number, silenceMs: number) {
  return createClient({
    url,
    // All that is asked for is as old. The greeting of the third version Redis 5 and some proxies do not know, and refuse with the password in it.
    RESP: 2,
    // What waited for Redis would be of no use to its callers: they have gone on without it.
    disableOfflineQueue: true,
    // The client's own limit is a signal and a timer of five seconds for each command: at 70,000 takes a second, 100 MB of them.
    commandOptions: { timeout: 0 },
    // A host that vanishes closes nothing, and the system finds out after a quarter of an hour. An idle connection pings, and is not silent.
    pingInterval: silenceMs / 3,
    socket: {
      connectTimeout: connectTimeoutMs,
      socketTimeout: silenceMs,
      reconnectStrategy: (tries) => Math.min(BACKOFF_MS[0] * 2 ** Math.min(tries, 10), BACKOFF_MS[1]),
    },
  })
}

/** What Redis says itself has a code in capitals before it: `NOSCRIPT`, `WRONGPASS`, `ERR`. */
function isReply(error: unknown): boolean {
  return error instanceof Error && /^-?[A-Z]+ /.test(error.message)
}
