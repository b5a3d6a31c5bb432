import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { storePort } from '@banyan/core'
import { expect, it, vi } from 'vitest'
import { type DatabaseTest, namesIn } from './database-fixture.ts'

/** What a body cannot do, and that it does no harm by trying. */
export function boundaryTests(test: DatabaseTest): void {
  nestingTests(test)
  timeTests(test)
  controlTests(test)

  it('says which store it does not have', async () => {
    const database = await test.prepared()
    expect(() => database.store(storePort('no-such-store'))).toThrow(expect.objectContaining({ code: 'ERR_NO_STORE' }))
  })
}

function nestingTests({ prepared }: DatabaseTest): void {
  it('refuses a transaction inside a transaction, however deep, and a read too', async () => {
    const database = await prepared()
    const deep = async () => database.transaction(async () => 'never')
    const nested = database.transaction(async () => Promise.all([deep()]))
    await expect(nested).rejects.toMatchObject({ code: 'ERR_NESTED_TRANSACTION' })
    const inHook = database.transaction(async (tx) => tx.beforeCommit(async () => void (await deep())))
    await expect(inHook).rejects.toMatchObject({ code: 'ERR_NESTED_TRANSACTION' })
    const reading = database.transaction(async () => database.read(async () => 'never'))
    await expect(reading).rejects.toMatchObject({ code: 'ERR_NESTED_TRANSACTION' })
  })

  it('lets what was started inside a body begin transactions once that is over', async () => {
    const database = await prepared()
    const later: Promise<unknown>[] = []
    let release: (() => void) | undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    await database.transaction(async (tx) => {
      tx.afterCommit(() =>
        later.push(database.transaction((next) => next.sql`insert into items (id, name) values (1, 'from afterCommit')`)),
      )
      later.push(gate.then(() => database.transaction((next) => next.sql`insert into items (id, name) values (2, 'from a promise')`)))
    })
    release?.()
    await Promise.all(later)
    expect(await namesIn(database)).toEqual(['from a promise', 'from afterCommit'])
  })

  it('holds on to nothing of those that are over, however many follow each other from afterCommit', async () => {
    const database = await prepared()
    const held: WeakRef<object>[] = []
    const count = await new Promise<number>((resolve, reject) => {
      function next(left: number): void {
        // Held by the hook, and so by whatever holds the transaction.
        const mark = { left }
        held.push(new WeakRef(mark))
        // Counted in the last of the chain, as long as that goes on.
        const after = () => (mark.left > 0 ? next(mark.left - 1) : resolve(stillHeld(held)))
        database.transaction(async (tx) => tx.afterCommit(after)).catch(reject)
      }
      next(100)
    })
    expect(count).toBeLessThan(10)
  })
}

/** How many are there when all that nobody holds is thrown away. */
async function stillHeld(held: readonly WeakRef<object>[]): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  // What a WeakRef was made for is kept until the turn of the event loop ends.
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  return held.filter((one) => one.deref() !== undefined).length
}

function timeTests({ prepared }: DatabaseTest): void {
  it('refuses every use of a transaction that is over', async () => {
    const database = await prepared()
    const kept = await database.transaction(async (tx) => tx)
    await expect(kept.sql`select 1`).rejects.toMatchObject({ code: 'ERR_TRANSACTION_OVER' })
    expect(() => kept.beforeCommit(async () => {})).toThrow(expect.objectContaining({ code: 'ERR_TRANSACTION_OVER' }))
    expect(() => kept.afterCommit(() => {})).toThrow(expect.objectContaining({ code: 'ERR_TRANSACTION_OVER' }))
  })

  it('ends a body that takes too long, takes back its writes, and goes on with the others', async () => {
    const database = await prepared({ transactionTimeoutMs: 100 })
    let resume: (() => void) | undefined
    const stuck = new Promise<void>((resolve) => {
      resume = resolve
    })
    let late: Promise<unknown> | undefined
    const first = database.transaction((tx) => tx.sql`insert into items (id, name) values (1, 'before')`)
    const slow = database.transaction(async (tx) => {
      await tx.sql`insert into items (id, name) values (2, 'slow')`
      late = stuck.then(() => tx.sql`insert into items (id, name) values (3, 'late')`)
      await late
    })
    const last = database.transaction((tx) => tx.sql`insert into items (id, name) values (4, 'after')`)
    await expect(slow).rejects.toMatchObject({ code: 'ERR_TRANSACTION_TIMEOUT' })
    await Promise.all([first, last])
    resume?.()
    await expect(late).rejects.toMatchObject({ code: 'ERR_TRANSACTION_OVER' })
    expect(await namesIn(database)).toEqual(['after', 'before'])
  })

  it('stores nothing of a body that took too long, also when another one breaks a deferred foreign key', async () => {
    const database = await prepared({ transactionTimeoutMs: 300 })
    const notify = vi.fn()
    let runs = 0
    const first = database.transaction((tx) => tx.sql`insert into items (id, name) values (1, 'first')`)
    const broken = database.transaction((tx) => tx.sql`insert into links (item) values (99)`)
    const slow = database.transaction(async (tx) => {
      tx.afterCommit(notify)
      await tx.sql`insert into items (id, name) values (2, 'slow')`
      runs += 1
      if (runs === 1) await new Promise(() => {})
    })
    await Promise.all([
      first,
      expect(broken).rejects.toMatchObject({ code: 'ERR_SQL_CONSTRAINT' }),
      expect(slow).rejects.toMatchObject({ code: 'ERR_TRANSACTION_TIMEOUT' }),
    ])
    // Behind whatever of them might be run again.
    await database.transaction((tx) => tx.sql`insert into items (id, name) values (3, 'next')`)
    expect(await namesIn(database)).toEqual(['first', 'next'])
    expect(notify).not.toHaveBeenCalled()
  })
}

function controlTests({ prepared }: DatabaseTest): void {
  it.each(['commit', '; commit', ' ;;\n/* a */ ; -- b\n Rollback', '/**/;/***/savepoint a'])(
    'refuses what would end the transaction, and takes back its writes: %j',
    async (text) => {
      const database = await prepared()
      const failing = database.transaction(async (tx) => {
        await tx.sql`insert into items (id, name) values (1, 'apple')`
        await tx.sql(templateOf(text))
      })
      await expect(failing).rejects.toMatchObject({ code: 'ERR_TRANSACTION_CONTROL' })
      expect(await namesIn(database)).toEqual([])
    },
  )

  it('finds the statement behind however many comments', async () => {
    const database = await prepared()
    // Each one more would double the work of looking at them in every way they can be taken.
    const text = `${'/* a */ '.repeat(10_000)}select 1 as n`
    expect(await database.transaction((tx) => tx.sql(templateOf(text)))).toEqual([{ n: 1 }])
  })
}

/** The template of a text that has no values. */
function templateOf(text: string): TemplateStringsArray {
  return Object.assign([text], { raw: [text] })
}

/** How a database ends. */
export function closeTests({ prepared, open, lasts }: DatabaseTest): void {
  it('finishes what was begun, then refuses', async () => {
    const database = await prepared()
    const running = Array.from({ length: 20 }, (_, id) =>
      database.transaction((tx) => tx.sql`insert into items (id, name) values (${id}, ${`n${id}`})`),
    )
    const reading = namesIn(database)
    await Promise.all([database.close(), database.close()])
    await Promise.all([...running, reading])
    await expect(database.transaction(async () => 1)).rejects.toMatchObject({ code: 'ERR_DATABASE_CLOSED' })
    await expect(database.read(async () => 1)).rejects.toMatchObject({ code: 'ERR_DATABASE_CLOSED' })
    if (lasts) expect(await namesIn(open())).toHaveLength(20)
  })
}
