import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Logger, manualWorld, silentLogger, systemWorld } from '@banyan/core'
import { type RateQuota, type RateState, sharedRateLimiter, takeFrom } from '@banyan/resilience'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { redisConnection } from './redis-connection.ts'
import { type RedisRateLimitsOptions, redisRateLimits, takeInRedis } from './redis-rate-limits.ts'
import { hasRedis, leftOut, startRedis } from './test/redis-server.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function redis(options: Parameters<typeof startRedis>[0] = {}) {
  const server = await startRedis(options)
  cleanups.push(() => server.stop())
  return server
}

/** Patient, so that a busy machine is not taken for a Redis that is away. */
function limits(url: string, options: Partial<RedisRateLimitsOptions> = {}) {
  const store = redisRateLimits({ url, connectTimeoutMs: 10_000, stallMs: 10_000, ...options })
  cleanups.push(() => store.close())
  return store
}

const perMinute: RateQuota = { algorithm: 'gcra', limit: 60, periodMs: 60_000, burst: 60 }

describe('rate limits in Redis', () => {
  if (!hasRedis()) {
    it.skip(leftOut)
    return
  }

  it('answer as a limiter in this process does, take by take, by both algorithms', { timeout: 120_000 }, async () => {
    const { url } = await redis()
    const connection = redisConnection({ url, connectTimeoutMs: 10_000, world: systemWorld, log: silentLogger })
    cleanups.push(() => connection.close())
    const quota = fc.record({
      algorithm: fc.constantFrom('gcra' as const, 'sliding-window' as const),
      limit: fc.integer({ min: 1, max: 50 }),
      periodMs: fc.integer({ min: 60_000, max: 7_200_000 }),
      burst: fc.integer({ min: 1, max: 60 }),
    })
    const takes = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 90_000 }), cost: fc.integer({ min: 1, max: 3 }) }), {
      maxLength: 30,
    })
    let run = 0
    await fc.assert(
      fc.asyncProperty(quota, takes, async ({ algorithm, limit, periodMs, burst }, steps) => {
        const q: RateQuota = algorithm === 'gcra' ? { algorithm, limit, periodMs, burst } : { algorithm, limit, periodMs }
        const key = `property:${run++}`
        let state: RateState | undefined
        let now = 1_800_000_000_000
        for (const { afterMs, cost } of steps) {
          now += afterMs
          // No key can ever pay more.
          const paid = Math.min(cost, algorithm === 'gcra' ? burst : limit)
          const here = takeFrom(q, state, paid, now)
          state = here.state
          const there = await takeInRedis(connection, key, paid, q, { now, stallMs: 60_000 })
          expect(there.allowed).toBe(here.answer.allowed)
          expect(there.remaining).toBe(here.answer.remaining)
          // The two multiply and divide in another order.
          expect(there.resetMs).toBeCloseTo(here.answer.resetMs, 2)
          expect(there.retryAfterMs).toBeCloseTo(here.answer.retryAfterMs, 2)
        }
      }),
      { numRuns: 200 },
    )
  })

  it.each([
    { algorithm: 'gcra', limit: 2, periodMs: 60_000, burst: 2 },
    { algorithm: 'sliding-window', limit: 2, periodMs: 60_000 },
  ] as const)('lock nobody out when the clock of Redis is set back: $algorithm', async (quota) => {
    const { url } = await redis()
    const connection = redisConnection({ url, connectTimeoutMs: 10_000, world: systemWorld, log: silentLogger })
    cleanups.push(() => connection.close())
    const take = (now: number) => takeInRedis(connection, 'eva', 1, quota, { now, stallMs: 60_000 })
    const [noon, anHourBefore] = [1_800_000_000_000, 1_799_996_400_000]
    expect([(await take(noon)).allowed, (await take(noon)).allowed]).toEqual([true, true])
    expect(await take(anHourBefore)).toMatchObject({ allowed: false, remaining: 0 })
    expect((await take(anHourBefore)).retryAfterMs).toBeLessThan(120_000)
    expect((await take(anHourBefore + 120_000)).allowed).toBe(true)
  })

  it('are never exceeded, however many processes ask at once', async () => {
    const { url } = await redis()
    for (const algorithm of ['gcra', 'sliding-window'] as const) {
      // So long a period that nothing comes back meanwhile.
      const quota: RateQuota = { algorithm, limit: 100, periodMs: 86_400_000, ...(algorithm === 'gcra' && { burst: 100 }) } as RateQuota
      const stores = Array.from({ length: 4 }, () => limits(url))
      const answers = await Promise.all(Array.from({ length: 2_000 }, (_, n) => stores[n % 4]?.take(`${algorithm} eva`, 1, quota)))
      expect(answers.filter((answer) => answer?.allowed)).toHaveLength(100)
      expect((await stores[0]?.take(`${algorithm} ada`, 1, quota))?.allowed).toBe(true)
    }
  })

  it('count each quota of a key for itself, as limiters in one process do', async () => {
    const { url } = await redis()
    const store = limits(url)
    // So long periods that nothing comes back meanwhile.
    const quotas: RateQuota[] = [
      { algorithm: 'gcra', limit: 3, periodMs: 3_600_000, burst: 3 },
      { algorithm: 'gcra', limit: 10, periodMs: 86_400_000, burst: 10 },
      { algorithm: 'sliding-window', limit: 5, periodMs: 86_400_000 },
    ]
    const limiters = quotas.map((quota) => sharedRateLimiter({ store, quota, timeoutMs: 20_000 }))
    const allowed = [0, 0, 0]
    for (let n = 0; n < 12; n += 1) {
      for (const [index, limiter] of limiters.entries()) if ((await limiter.take('eva')).allowed) allowed[index] = (allowed[index] ?? 0) + 1
    }
    expect(allowed).toEqual([3, 10, 5])
  })

  it('need none of the commands that came after Redis 5', async () => {
    const { url } = await redis({ password: 'right', without: ['HELLO'] })
    const warn = vi.fn<Logger['warn']>()
    const answer = limits(url, { log: { ...silentLogger, warn } }).take('eva', 1, perMinute)
    expect((await answer).allowed).toBe(true)
    // Such a Redis says again what it does not know, a greeting with the password too.
    expect(warn).not.toHaveBeenCalled()
  })

  it('leave no timer behind with each take', async () => {
    const { url } = await redis()
    const store = limits(url)
    await store.take('eva', 1, perMinute)
    const timers = vi.spyOn(AbortSignal, 'timeout')
    cleanups.push(() => timers.mockRestore())
    expect((await store.take('eva', 1, perMinute)).allowed).toBe(true)
    expect(timers).not.toHaveBeenCalled()
  })

  it('leave nothing behind once a key has all its takes again, and no caller can be read in it', async () => {
    const { url } = await redis()
    const connection = redisConnection({ url, connectTimeoutMs: 10_000, world: systemWorld, log: silentLogger })
    cleanups.push(() => connection.close())
    const store = limits(url)
    await store.take('secret token', 1, { algorithm: 'gcra', limit: 1_000, periodMs: 50_000, burst: 10 })
    const keys = (await connection.send(['KEYS', '*'], 10_000)) as string[]
    expect(keys).toEqual([expect.stringMatching(/^banyan:limit:[\w-]{43}$/)])
    // One take of 1,000 in 50 s comes back within 50 ms.
    await vi.waitFor(async () => expect(await connection.send(['KEYS', '*'], 10_000)).toEqual([]), 20_000)
  })

  it('count on when Redis has forgotten the script, or was started anew', async () => {
    const server = await redis()
    const store = limits(server.url)
    expect((await store.take('eva', 1, perMinute)).remaining).toBe(59)
    await server.stop()
    await server.start()
    await vi.waitFor(async () => expect((await store.take('eva', 1, perMinute)).allowed).toBe(true), 20_000)
  })

  it('reject at once while Redis is away, say so once, and say when it is back', async () => {
    const server = await redis()
    const [warn, info] = [vi.fn<Logger['warn']>(), vi.fn<Logger['info']>()]
    const store = limits(server.url, { log: { ...silentLogger, warn, info } })
    await store.take('eva', 1, perMinute)
    await server.stop()
    await vi.waitFor(() => expect(warn).toHaveBeenCalled(), 20_000)
    for (let n = 0; n < 20; n += 1) await expect(store.take('eva', 1, perMinute)).rejects.toMatchObject({ code: 'ERR_REDIS_UNREACHABLE' })
    await server.start()
    await vi.waitFor(async () => expect((await store.take('eva', 1, perMinute)).allowed).toBe(true), 20_000)
    expect(warn).toHaveBeenCalledTimes(1)
    expect(info).toHaveBeenCalledExactlyOnceWith(expect.anything(), expect.stringContaining('is back'))
  })

  it('do not wait behind a Redis that is paused', async () => {
    const server = await redis()
    const world = manualWorld()
    const store = limits(server.url, { world, stallMs: 100 })
    await store.take('eva', 1, perMinute)
    server.signal('SIGSTOP')
    const stuck = store.take('eva', 1, perMinute)
    await world.advance(101)
    await expect(store.take('eva', 1, perMinute)).rejects.toThrow(/no answer for 101 ms/)
    server.signal('SIGCONT')
    expect((await stuck).allowed).toBe(true)
    expect((await store.take('eva', 1, perMinute)).allowed).toBe(true)
  })

  it('wait for a Redis that is slow as long as who takes does', async () => {
    const server = await redis()
    const world = manualWorld()
    const store = redisRateLimits({ url: server.url, connectTimeoutMs: 10_000, world })
    cleanups.push(() => store.close())
    await store.take('eva', 1, perMinute, 10_000)
    server.signal('SIGSTOP')
    const first = store.take('eva', 1, perMinute, 10_000)
    await world.advance(1_000)
    const second = store.take('eva', 1, perMinute, 10_000)
    await expect(store.take('eva', 1, perMinute)).rejects.toThrow(/no answer for 1000 ms/)
    server.signal('SIGCONT')
    expect([(await first).allowed, (await second).allowed]).toEqual([true, true])
  })

  it('go on over a new connection when the old one has fallen silent, and keep one that is merely idle', async () => {
    const server = await redis()
    const line = await fragileLine(server.port)
    const warn = vi.fn<Logger['warn']>()
    const log = { ...silentLogger, warn }
    const connection = redisConnection({ url: line.url, connectTimeoutMs: 10_000, silenceMs: 1_000, world: systemWorld, log })
    cleanups.push(() => connection.close())
    const ping = () => connection.send(['PING'], 10_000)
    expect(await ping()).toBe('PONG')
    // Longer than it may be silent: pings of the connection's own keep it.
    await vi.waitFor(() => expect(line.heard()).toBeGreaterThanOrEqual(9), 20_000)
    expect([line.connections(), warn.mock.calls]).toEqual([1, []])
    line.cut()
    await expect(ping()).rejects.toMatchObject({ code: 'ERR_REDIS_UNREACHABLE' })
    await vi.waitFor(async () => expect(await ping()).toBe('PONG'), 20_000)
    expect([line.connections(), warn.mock.calls.length]).toEqual([2, 1])
  })

  it('find the new Redis when theirs has become a copy of it', async () => {
    const [former, current] = [await redis(), await redis()]
    const line = await fragileLine(former.port)
    const warn = vi.fn<Logger['warn']>()
    const log = { ...silentLogger, warn }
    const connection = redisConnection({ url: line.url, connectTimeoutMs: 10_000, silenceMs: 1_000, world: systemWorld, log })
    const byHand = redisConnection({ url: former.url, connectTimeoutMs: 10_000, world: systemWorld, log: silentLogger })
    cleanups.push(() => Promise.all([connection.close(), byHand.close()]))
    const take = () => takeInRedis(connection, 'eva', 1, perMinute, { stallMs: 10_000 })
    await take()
    await byHand.send(['REPLICAOF', '127.0.0.1', String(current.port)], 10_000)
    line.leadTo(current.port)
    await expect(take()).rejects.toMatchObject({ code: 'ERR_REDIS_REFUSED', message: expect.stringContaining('READONLY') })
    await vi.waitFor(async () => expect((await take()).allowed).toBe(true), 20_000)
    expect([line.connections(), warn.mock.calls.length]).toEqual([2, 1])
  })

  it('let a limiter go on alone while Redis is away', async () => {
    const server = await redis()
    const limiter = sharedRateLimiter({ store: limits(server.url), quota: { ...perMinute, burst: 3 }, timeoutMs: 20_000 })
    expect((await limiter.take('eva')).remaining).toBe(2)
    await server.stop()
    const alone = [await limiter.take('eva'), await limiter.take('eva'), await limiter.take('eva'), await limiter.take('eva')]
    expect(alone.map(({ allowed }) => allowed)).toEqual([true, true, true, false])
  })

  it('say what is wrong with a password, once', async () => {
    const server = await redis({ password: 'right' })
    const warn = vi.fn<Logger['warn']>()
    const store = limits(server.url.replace('right', 'wrong'), { log: { ...silentLogger, warn } })
    await expect(store.take('eva', 1, perMinute)).rejects.toThrow()
    await expect(store.take('eva', 1, perMinute)).rejects.toThrow()
    expect(warn).toHaveBeenCalledTimes(1)
    expect(warn.mock.calls[0]?.[1]).toMatch(/WRONGPASS/)
    expect(warn.mock.calls[0]?.[1]).not.toContain('wrong@')
    expect((await limits(server.url).take('eva', 1, perMinute)).allowed).toBe(true)
  })
})

/** Takes connections and never says a word, as a Redis that is paused does. */
async function silentServer() {
  const open = new Set<Socket>()
  const seen = vi.fn()
  const server = createServer((socket) => {
    seen()
    open.add(socket.resume())
    socket.once('close', () => open.delete(socket)).on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  // A server that listens on a port has an address of this kind.
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, open, seen }
}

/** A line to a Redis that can be cut as a pulled cable would: neither end is told. */
async function fragileLine(port: number) {
  const sockets: Socket[] = []
  let end = port
  let connections = 0
  let heard = 0
  const server = createServer((near) => {
    connections += 1
    const far = connect(end, '127.0.0.1')
    sockets.push(
      near.on('error', () => {}),
      far.on('error', () => {}),
    )
    near.on('data', (bytes) => {
      heard += 1
      far.write(bytes)
    })
    far.pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    // A server that listens on a port has an address of this kind.
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    heard: () => heard,
    /** Where later connections lead. */
    leadTo(other: number) {
      end = other
    },
    cut() {
      for (const socket of sockets.splice(0)) socket.unpipe().removeAllListeners('data').resume()
    },
  }
}

it('rate limits in Redis that are closed while they connect leave no connection, and open none later', async () => {
  const { url, open, seen } = await silentServer()
  const store = limits(url)
  const first = store.take('eva', 1, perMinute)
  await store.close()
  await expect(first).rejects.toMatchObject({ code: 'ERR_REDIS_UNREACHABLE' })
  await vi.waitFor(() => expect(seen).toHaveBeenCalledTimes(1), 20_000)
  await vi.waitFor(() => expect(open.size).toBe(0), 20_000)
  const unused = limits(url)
  await unused.close()
  for (const closed of [store, unused]) await expect(closed.take('eva', 1, perMinute)).rejects.toThrow(/was closed/)
  expect(seen).toHaveBeenCalledTimes(1)
})

it('takes do not wait for a Redis that accepts the connection and says nothing', async () => {
  const { url } = await silentServer()
  const world = manualWorld()
  const warn = vi.fn<Logger['warn']>()
  const store = limits(url, { connectTimeoutMs: 5_000, world, log: { ...silentLogger, warn } })
  const first = expect(store.take('eva', 1, perMinute)).rejects.toThrow(/no answer within 5000 ms/)
  await world.advance(5_000)
  await first
  await expect(store.take('eva', 1, perMinute)).rejects.toThrow(/no connection now/)
  expect(warn).toHaveBeenCalledTimes(1)
  await store.close()
  expect(world.pendingTimers()).toBe(0)
})

it('rate limits in Redis name an address that is none, and no password in it', () => {
  const secrets = [
    'amqp://user:secret@host',
    'redis://user:a/secret@host',
    'amqp://user:a@secret@host',
    'user:secret@host',
    'redis:user:secret@host',
  ]
  const wrong = ['', 'http://a', 'redis://', 'localhost:6379', 'redis://host/first', 'redis://user:%zzsecret@host', undefined as never]
  for (const url of [...wrong, ...secrets]) {
    expect(() => redisRateLimits({ url })).toThrow(/is none, wanted "redis:\/\/host:port"/)
    expect(() => redisRateLimits({ url })).not.toThrow(/secret/)
  }
  expect(() => redisRateLimits({ url: 'redis://a', stallMs: 0 })).toThrow('"stallMs" is 0, wanted a number from 1')
})
