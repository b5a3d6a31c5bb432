import { silentLogger } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { namesIn, postgresTest } from './test/postgres-test.ts'

const { open, prepared } = postgresTest()

/** Thrown by a body, or by something that it uses: nobody can see what it is. */
function unseen(): object {
  const refuse = () => {
    throw new Error('nobody looks at this')
  }
  return new Proxy({}, { getPrototypeOf: refuse, get: refuse, has: refuse })
}

describe('a body that throws what nobody can look at', () => {
  it('leaves nothing behind for whoever has its connection next', async () => {
    const database = await prepared({ maxConnections: 1 })
    const reason = unseen()
    const failing = database.transaction(async (tx) => {
      await tx.sql`insert into items values (1, 'taken back')`
      throw reason
    })
    expect(await failing.catch((thrown) => thrown === reason)).toBe(true)
    await database.transaction((tx) => tx.sql`insert into items values (2, 'kept')`)
    expect(await namesIn(database)).toEqual(['kept'])
  })

  it('runs again when it was refused for the sake of others', async () => {
    const database = await prepared()
    let runs = 0
    await database.transaction(async (tx) => {
      await tx.sql`select n from counter`
      if (runs++ === 0) await database.run('update counter set n = n + 1')
      await tx.sql`update counter set n = n + 1`.catch(() => {
        throw unseen()
      })
    })
    expect(runs).toBe(2)
    expect(await database.run('select n from counter')).toEqual([{ n: 2 }])
  })

  it('or a call after COMMIT that does, changes nothing of what is committed, also where the log does not take it', async () => {
    const log = {
      ...silentLogger,
      error: () => {
        throw new Error('no log')
      },
    }
    const database = await prepared({ log })
    await database.transaction(async (tx) => {
      await tx.sql`insert into items values (1, 'kept')`
      tx.afterCommit(() => {
        throw unseen()
      })
    })
    expect(await namesIn(database)).toEqual(['kept'])
  })
})

it('a connection that somebody leaves inside of a transaction is never used again', async () => {
  const database = await prepared({ maxConnections: 1 })
  await database.run('begin')
  await database.run("insert into items values (1, 'by itself')")
  expect(await namesIn(open())).toEqual(['by itself'])
})
