import { expect, it, vi } from 'vitest'
import { type DatabaseTest, namesIn } from './database-fixture.ts'

/** All of a transaction or nothing of it, also when it shares a commit with others. */
export function atomicityTests({ open, prepared, lasts }: DatabaseTest): void {
  it('keeps what a body wrote, also for those who open the database later', async () => {
    const database = await prepared()
    const result = await database.transaction(async (tx) => {
      await tx.sql`insert into items (id, name) values (1, ${'apple'})`
      return tx.sql<{ name: string }>`select name from items where id = ${1}`
    })
    expect(result).toEqual([{ name: 'apple' }])
    if (lasts) await database.close()
    expect(await namesIn(lasts ? open() : database)).toEqual(['apple'])
  })

  it('takes back everything when the body throws, and throws the same error', async () => {
    const database = await prepared()
    const refusal = new Error('changed my mind')
    const failing = database.transaction(async (tx) => {
      await tx.sql`insert into items (id, name) values (1, 'apple')`
      throw refusal
    })
    await expect(failing).rejects.toBe(refusal)
    expect(await namesIn(database)).toEqual([])
  })

  it('lets one of many concurrent transactions fail without harm to the others', async () => {
    const database = await prepared()
    const outcomes = await Promise.allSettled(
      Array.from({ length: 60 }, (_, id) =>
        database.transaction(async (tx) => {
          await tx.sql`insert into items (id, name) values (${id}, ${`n${String(id).padStart(2, '0')}`})`
          await tx.sql`update counter set n = n + 1 where id = 1`
          if (id % 3 === 0) throw new Error(`no ${id}`)
        }),
      ),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map((_, id) => (id % 3 === 0 ? 'rejected' : 'fulfilled')))
    const wanted = Array.from({ length: 60 }, (_, id) => id).filter((id) => id % 3 !== 0)
    expect(await namesIn(database)).toEqual(wanted.map((id) => `n${String(id).padStart(2, '0')}`))
    expect(await database.read((tx) => tx.sql`select n from counter`)).toEqual([{ n: 40 }])
  })

  it('runs concurrent transactions as if one after another', async () => {
    const database = await prepared()
    await Promise.all(
      Array.from({ length: 50 }, () =>
        database.transaction(async (tx) => {
          const [row] = await tx.sql<{ n: number }>`select n from counter where id = 1`
          await new Promise((resolve) => queueMicrotask(() => resolve(undefined)))
          await tx.sql`update counter set n = ${(row?.n ?? 0) + 1} where id = 1`
        }),
      ),
    )
    expect(await database.read((tx) => tx.sql`select n from counter`)).toEqual([{ n: 50 }])
  })

  it('rejects with a named error when a constraint is broken', async () => {
    const database = await prepared()
    const insert = () => database.transaction((tx) => tx.sql`insert into items (id, name) values (1, ${'a secret'})`)
    await insert()
    const again = insert()
    await expect(again).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT', message: expect.stringContaining('insert into items') })
    await expect(again).rejects.not.toThrow('a secret')
  })
}

/** What runs just before the commit, and what after it. */
export function hookTests({ prepared, open, lasts }: DatabaseTest): void {
  it('runs the writes of beforeCommit last and in order, then commits, then calls afterCommit', async () => {
    const database = await prepared()
    const order: string[] = []
    await database.transaction(async (tx) => {
      tx.afterCommit(() => order.push('after 1'))
      tx.beforeCommit(async () => {
        order.push('before 1')
        tx.beforeCommit(async () => void order.push('before 3'))
        await tx.sql`insert into items (id, name) values (1, 'late')`
      })
      tx.beforeCommit(async () => void order.push('before 2'))
      tx.afterCommit(() => order.push('after 2'))
      await tx.sql`update counter set n = 1 where id = 1`
      order.push('body')
    })
    order.push('resolved')
    expect(order).toEqual(['body', 'before 1', 'before 2', 'before 3', 'after 1', 'after 2', 'resolved'])
    expect(await namesIn(database)).toEqual(['late'])
  })

  // An "await" is missing: how many promises lie between the end of the body and the call decides what it meets.
  it.each([0, 1])('runs each write of beforeCommit that it takes, however late, behind %i others', async (others) => {
    const database = await prepared()
    for (let steps = 0; steps < 16; steps += 1) {
      const write = vi.fn(async () => {})
      let taken: Promise<boolean> | undefined
      await database.transaction(async (tx) => {
        for (let n = 0; n < others; n += 1) tx.beforeCommit(async () => {})
        await tx.sql`update counter set n = n + 1 where id = 1`
        taken = lateCall(steps, () => tx.beforeCommit(write))
      })
      expect({ steps, ran: write.mock.calls.length === 1 }).toEqual({ steps, ran: await taken })
    }
  })

  it('takes back everything when a write of beforeCommit fails, and calls no afterCommit', async () => {
    const database = await prepared()
    const notify = vi.fn()
    const failing = database.transaction(async (tx) => {
      await tx.sql`insert into items (id, name) values (1, 'apple')`
      tx.afterCommit(notify)
      tx.beforeCommit(async () => {
        throw new Error('no outbox')
      })
    })
    await expect(failing).rejects.toThrow('no outbox')
    expect(await namesIn(database)).toEqual([])
    expect(notify).not.toHaveBeenCalled()
  })

  it('has committed for everybody when afterCommit is called', async () => {
    const database = await prepared()
    const other = lasts ? open() : database
    const seen = new Promise((resolve) => {
      void database.transaction(async (tx) => {
        await tx.sql`insert into items (id, name) values (1, 'apple')`
        tx.afterCommit(() => resolve(namesIn(other)))
      })
    })
    expect(await seen).toEqual(['apple'])
  })

  it('stands by the commit and the other calls when an afterCommit throws', async () => {
    const database = await prepared()
    const notify = vi.fn()
    await database.transaction(async (tx) => {
      await tx.sql`insert into items (id, name) values (1, 'apple')`
      tx.afterCommit(() => {
        throw new Error('careless')
      })
      tx.afterCommit(notify)
    })
    expect(notify).toHaveBeenCalledOnce()
    expect(await namesIn(database)).toEqual(['apple'])
  })
}

/** Calls back after so many steps of the queue of promises. @returns whether it was taken */
async function lateCall(steps: number, call: () => void): Promise<boolean> {
  for (let step = 0; step < steps; step += 1) await undefined
  try {
    call()
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_TRANSACTION_OVER' })
    return false
  }
}
