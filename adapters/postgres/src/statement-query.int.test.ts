import { testPostgres } from '@banyan/testing'
import pg from 'pg'
import { expect, it } from 'vitest'
import { BeginningQuery } from './beginning-query.ts'
import { CommittingQuery } from './committing-query.ts'
import { statementNames } from './statement-names.ts'
import { type Runnable, StatementQuery } from './statement-query.ts'
import { type Answered, Sending } from './wire.ts'

interface Answer {
  readonly command: string
  readonly rows: unknown[]
}

async function connected() {
  const place = await testPostgres()
  const client = new pg.Client({ connectionString: place.url, pipeline: true })
  await client.connect()
  const names = statementNames(client, 10)
  const heard = { descriptions: 0, none: 0 }
  client.connection.on('rowDescription', () => (heard.descriptions += 1))
  client.connection.on('noData', () => (heard.none += 1))
  const ask = (make: (answered: Answered) => pg.Query) =>
    new Promise<Answer[]>((resolve, reject) => {
      const answered = (error: Error | undefined, result: unknown) => (error ? reject(error) : resolve([result].flat() as Answer[]))
      client.query(make(answered))
    })
  const runnable = (text: string, values: unknown[]): Runnable => ({ text, values, prepared: names.of(text) })
  return {
    heard,
    exec: (text: string) => ask((answered) => new Sending(text, answered)),
    run: (text: string, ...values: unknown[]) => ask((answered) => new StatementQuery(runnable(text, values), answered)),
    begin: (text: string, ...values: unknown[]) =>
      ask((answered) => new BeginningQuery(runnable(text, values), answered, [{ text: 'begin', name: names.of('begin').name }])),
    commit: (text: string, ...values: unknown[]) =>
      ask((answered) => new CommittingQuery(runnable(text, values), answered, names.of('commit').name)),
    runUnprepared: (text: string) => ask((answered) => new StatementQuery({ text, values: [], prepared: undefined }, answered)),
    async close() {
      await client.end()
      await place.drop()
    },
  }
}

it('asks once what the rows of a statement are, and whether it has any', async () => {
  const { run, exec, heard, close } = await connected()
  await exec('create table orders (id int, note text)')
  for (let id = 1; id <= 3; id += 1) await run('insert into orders values ($1, $2)', id, 'n')
  for (const times of [1, 0, 3]) {
    expect(await run('select id, note from orders where id <= $1', times)).toMatchObject([
      { rows: Array.from({ length: times }, (_, index) => ({ id: index + 1, note: 'n' })) },
    ])
  }
  expect(heard).toEqual({ descriptions: 1, none: 1 })
  await close()
})

it('tells the rows of a statement from what runs before and behind it, also when it knows them', async () => {
  const { begin, commit, heard, close } = await connected()
  for (let n = 1; n <= 3; n += 1) {
    expect(await begin('select $1::int as n', n)).toMatchObject([
      { command: 'BEGIN', rows: [] },
      { command: 'SELECT', rows: [{ n }] },
    ])
    expect(await commit('select $1::int + 1 as next', n)).toMatchObject([
      { command: 'SELECT', rows: [{ next: n + 1 }] },
      { command: 'COMMIT', rows: [] },
    ])
  }
  expect(heard.descriptions).toBe(2)
  await close()
})

it('reads no row by what the rows were before: the server refuses the statement', async () => {
  const { run, exec, close } = await connected()
  await exec('create table orders (id int); insert into orders values (1)')
  expect(await run('select * from orders')).toMatchObject([{ rows: [{ id: 1 }] }])
  await exec('alter table orders alter column id type text')
  await expect(run('select * from orders')).rejects.toThrow('cached plan must not change result type')
  await close()
})

it('knows nothing of a statement that failed when it was asked', async () => {
  const { run, heard, close } = await connected()
  // Not before it runs: what does not change is computed with the plan.
  const text = 'select 1 / (random() * 0 + $1)::int as n'
  await expect(run(text, 0)).rejects.toThrow('division by zero')
  for (let times = 1; times <= 2; times += 1) expect(await run(text, 1)).toMatchObject([{ rows: [{ n: 1 }] }])
  expect(heard.descriptions).toBe(2)
  await close()
})

it('asks each time where statements are not prepared', async () => {
  const { runUnprepared, heard, close } = await connected()
  for (let n = 1; n <= 2; n += 1) expect(await runUnprepared('select 1 as n')).toMatchObject([{ rows: [{ n: 1 }] }])
  expect(heard.descriptions).toBe(2)
  await close()
})
