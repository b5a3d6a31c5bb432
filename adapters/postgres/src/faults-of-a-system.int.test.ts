import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeOf, type Database, sleep, systemWorld } from '@banyan/core'
import { sqliteBus } from '@banyan/sqlite'
import { type PostgresServer, startPostgres } from '@banyan/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type KeptLog, keptLog, type Town, town } from '../../../packages/testing/src/test/town.ts'
import { postgres } from './database.ts'

// What happens to a whole system of messages and sagas when its server fails. What the database alone does: faults.int.test.ts.

const CONNECTIONS = 16
const closing: (() => Promise<void>)[] = []
let server: PostgresServer
let log: KeptLog
let built: Town

beforeAll(async () => {
  // A server of its own, since it is ended, frozen and filled up.
  const settings = { max_connections: String(CONNECTIONS), superuser_reserved_connections: '0', reserved_connections: '0' }
  server = await startPostgres({ settings })
})
afterAll(() => server.stop())

beforeEach(async () => {
  log = keptLog()
  const folder = mkdtempSync(join(tmpdir(), 'banyan-faults-'))
  const bus = sqliteBus(join(folder, 'bus.db'), { leaseMs: 500, log })
  const shop = open(await server.database(), 'shop')
  const bank = open(await server.database(), 'bank')
  closing.push(async () => rmSync(folder, { recursive: true, force: true }))
  closing.push(async () => {
    await bus.close()
    await Promise.all([shop.close(), bank.close()])
  })
  built = await town({ shop, bank, bus, log })
  closing.push(() => built.stop())
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

function open(url: string, name: string): Database {
  return postgres(url, { name, log, maxConnections: 4, connectTimeoutMs: 1_000, queueTimeoutMs: 2_000 })
}

interface Traffic {
  /** How the attempts to sell and to order ended: `undefined` for those that were committed. */
  readonly codes: (string | undefined)[]
  stop(): Promise<void>
}

/** Sells and orders all the time, whatever comes of it. */
function traffic(): Traffic {
  const codes: (string | undefined)[] = []
  let stopped = false
  async function keep(name: string): Promise<void> {
    for (let n = 0; !stopped; n += 1) {
      const outcomes = await Promise.allSettled([built.sell(name), built.order(`${name}-${n}`)])
      codes.push(...outcomes.map((one) => (one.status === 'rejected' ? codeOf(one.reason) : undefined)))
      await sleep(systemWorld, 30)
    }
  }
  const all = Promise.all(['ant', 'bee', 'cat'].map(keep))
  return {
    codes,
    async stop() {
      stopped = true
      await all
    },
  }
}

/** Traffic, a fault in the middle of it, and a while after it. @returns the codes of what failed */
async function during(fault: () => Promise<void>): Promise<Set<string | undefined>> {
  const { codes, stop } = traffic()
  await sleep(systemWorld, 500)
  await fault()
  await sleep(systemWorld, 500)
  await stop()
  expect(codes).toContain(undefined)
  return new Set(codes.filter((code) => code !== undefined))
}

const AWAY = ['ERR_DATABASE_UNREACHABLE', 'ERR_COMMIT_UNKNOWN', 'ERR_CONNECTIONS_EXHAUSTED', 'ERR_TRANSACTION_TIMEOUT']

describe('messages and sagas, when the server', () => {
  it('refuses connections for a while: callers are told by name, and all else goes on by itself', { timeout: 60_000 }, async () => {
    const codes = await during(async () => {
      await server.halt()
      await sleep(systemWorld, 3_000)
      await server.start()
    })
    expect([...codes].filter((code) => !AWAY.includes(code ?? ''))).toEqual([])
    expect(codes.size).toBeGreaterThan(0)
    await built.settled(20_000)
    expect(log.lines.join('\n')).toContain('ERR_DATABASE_UNREACHABLE')
  })

  it('crashes in mid-commit, again and again: nothing is lost, nothing happens twice', { timeout: 90_000 }, async () => {
    const codes = await during(async () => {
      for (let crash = 0; crash < 3; crash += 1) {
        await server.restart({ immediate: true })
        await sleep(systemWorld, 400)
      }
    })
    expect([...codes].filter((code) => !AWAY.includes(code ?? ''))).toEqual([])
    await built.settled(30_000)
  })

  it('has no connection left: callers are told by name, and all goes on when there are some again', { timeout: 60_000 }, async () => {
    const greedy = postgres(await server.database(), { log, maxConnections: CONNECTIONS, connectTimeoutMs: 1_000 })
    const codes = await during(async () => {
      // All that are free, held for longer than anybody waits for one; what is there already is cut off.
      const held = Array.from({ length: CONNECTIONS }, () => greedy.transaction(async (tx) => void (await tx.sql`select pg_sleep(3)`)))
      await Promise.allSettled(held)
    })
    await greedy.close()
    expect([...codes].filter((code) => !AWAY.includes(code ?? ''))).toEqual([])
    await built.settled(20_000)
  })

  it('answers nothing for a while: nothing is lost, nothing happens twice when it wakes', { timeout: 90_000 }, async () => {
    await during(async () => {
      server.pause()
      await sleep(systemWorld, 3_000)
      server.resume()
    })
    await built.settled(30_000)
  })
})
