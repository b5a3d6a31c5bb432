import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { silentLogger } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { gateway } from '@banyan/gateway'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { redisRateLimits } from './redis-rate-limits.ts'
import { hasRedis, leftOut, startRedis } from './test/redis-server.ts'

/** Two gateways in front of one service. */
async function twoGateways(redis: string, limits: object) {
  let served = 0
  const back = vi.fn()
  const server = createServer((_, response) => {
    served += 1
    response.end('ok')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  onTestFinished(() => void server.close())
  // A server that listens on a port has an address of this kind.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const config = {
    redis,
    routes: [{ path: '/', url, plugins: [{ name: 'rate-limiting' as const, config: { shared: true, away_after_ms: 20_000, ...limits } }] }],
  }
  const start = async () => {
    const rateLimits = (address: string) =>
      redisRateLimits({ url: address, connectTimeoutMs: 10_000, stallMs: 10_000, log: { ...silentLogger, info: back } })
    const made = gateway({ config, registry: staticRegistry({}), host: '127.0.0.1', port: 0, rateLimits })
    onTestFinished(() => made.stop())
    return (await made.start()).url
  }
  return { urls: [await start(), await start()], served: () => served, back }
}

describe('two gateways with one Redis', () => {
  if (!hasRedis()) {
    it.skip(leftOut)
    return
  }

  it.each(['gcra', 'sliding-window'])(
    'let no more through than the limit, however the burst is spread: %s',
    { timeout: 60_000 },
    async (algorithm) => {
      const redis = await startRedis()
      onTestFinished(() => redis.stop())
      const { urls, served } = await twoGateways(redis.url, { day: 50, algorithm })
      const statuses = await Promise.all(Array.from({ length: 400 }, async (_, n) => (await fetch(urls[n % 2] ?? '')).status))
      expect(statuses.filter((status) => status === 200)).toHaveLength(50)
      expect(statuses.filter((status) => status === 429)).toHaveLength(350)
      expect(served()).toBe(50)
    },
  )

  it('each count for themselves while Redis is gone, and together again when it is back', { timeout: 60_000 }, async () => {
    const redis = await startRedis()
    onTestFinished(() => redis.stop())
    const { urls, back } = await twoGateways(redis.url, { day: 3 })
    const statusAt = async (n: number) => (await fetch(urls[n] ?? '')).status
    const together = [await statusAt(0), await statusAt(1), await statusAt(0), await statusAt(1)]
    expect(together).toEqual([200, 200, 200, 429])
    await redis.stop()
    expect([await statusAt(0), await statusAt(1)]).toEqual([200, 200])
    await redis.start()
    await vi.waitFor(() => expect(back).toHaveBeenCalledTimes(2), 20_000)
    // It is empty: takes are counted together from the start.
    const again = await Promise.all([0, 1, 0, 1, 0, 1].map(statusAt))
    expect(again.filter((status) => status === 200)).toHaveLength(3)
  })
})
