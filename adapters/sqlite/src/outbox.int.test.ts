import { silentLogger } from '@banyan/core'
import { type OutboxEntry, outboxPort } from '@banyan/messaging/internal'
import { afterEach, describe, expect, it } from 'vitest'
import { sqlite } from './index.ts'
import { sqliteOutboxLog } from './outbox.ts'

const database = sqlite(':memory:', { log: silentLogger })
afterEach(() => database.close())

describe('the outbox of SQLite', () => {
  it('reads large records in parts, none of them left out, and a single one whatever its size', async () => {
    const records = [10, 10, 900, 10, 10, 10].map((size, n) => {
      // A character of three bytes.
      return { id: `${n}`, type: 'seat.taken', key: 'A1', body: JSON.stringify('\u20ac'.repeat(size / 2)), time: 1 }
    })
    await database.transaction((tx) => database.store(outboxPort).append(tx, records))
    const log = sqliteOutboxLog(database, 100)
    const parts: number[] = []
    const seen: OutboxEntry[] = []
    for (let batch = await log.read(0, undefined, 6); batch.length > 0; batch = await log.read(0, seen.at(-1)?.position, 6)) {
      parts.push(batch.length)
      seen.push(...batch)
    }
    expect(seen.map(({ body }) => body)).toEqual(records.map(({ body }) => body))
    expect(parts).toEqual([3, 3])
    expect(await sqliteOutboxLog(database, 1).read(0, 2, 6)).toHaveLength(1)
    expect(await sqliteOutboxLog(database, 1_000_000).read(0, 0, 5)).toHaveLength(5)
  })
})
