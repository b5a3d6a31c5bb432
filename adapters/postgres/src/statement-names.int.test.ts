import { testPostgres } from '@banyan/testing'
import pg from 'pg'
import { expect, it } from 'vitest'
import { statementNames } from './statement-names.ts'
import { StatementQuery } from './statement-query.ts'
import type { Wire } from './wire.ts'

it('keeps nothing of statements that gave way before they were answered, here or in the server', async () => {
  const place = await testPostgres()
  const client = new pg.Client({ connectionString: place.url, pipeline: true })
  await client.connect()
  const names = statementNames(client, 2)
  const run = (text: string) =>
    new Promise<{ rows: unknown[] }>((resolve, reject) => {
      const answered = (error: Error | undefined, result: unknown) => (error ? reject(error) : resolve(result as { rows: unknown[] }))
      client.query(new StatementQuery({ text, values: [], prepared: names.of(text) }, answered))
    })
  await Promise.all(Array.from({ length: 20 }, (_, n) => run(`select ${n}`)))
  const { rows } = await run('select name from pg_prepared_statements')
  // The two that are kept, and the one that gave way to the last: it is freed with the next.
  expect(rows).toHaveLength(3)
  const known = Object.keys((client.connection as unknown as Wire).parsedStatements)
  expect(known.length).toBeLessThanOrEqual(3)
  await client.end()
  await place.drop()
})
