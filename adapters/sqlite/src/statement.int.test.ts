import type { Database, SqlValue } from '@banyan/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { open } from './test/site.ts'

let database: Database

beforeEach(async () => {
  database = open(':memory:')
  await database.migrate([{ id: 't', sql: 'create table t (a, b)' }])
})
afterEach(() => database.close())

/** The template of these texts, with values between them. */
function run(texts: readonly string[], ...values: SqlValue[]): Promise<object[]> {
  return database.transaction((tx) => tx.sql(Object.assign([...texts], { raw: texts }), ...values))
}

describe('a parameter in the text of a template', () => {
  it.each(['?', '?1', '?7', ':a', '@a', '$a', '$a::b(c)', '?/* */'])('is refused, since it has no value: %s', async (parameter) => {
    for (const [texts, values] of [
      [[`insert into t values (${parameter}, 1)`], []],
      [[`insert into t values (${parameter}, `, ')'], [1]],
      [['insert into t values (', `, ${parameter})`], [1]],
      // As many parameters as values, at other places.
      [["insert into t select '", `', ${parameter}`], [1]],
    ] as const)
      await expect(run(texts, ...values)).rejects.toMatchObject({
        code: 'ERR_SQL',
        message: expect.stringContaining('its own text has a parameter'),
      })
    expect(await database.read((tx) => tx.sql`select a, b from t`)).toEqual([])
  })

  it('is refused too where it would make another one of the place of a value', async () => {
    await expect(run(['select ', '1'], 1)).rejects.toThrow('its own text has a parameter')
    await expect(run(['select $', ''], 1)).rejects.toMatchObject({ code: 'ERR_SQL' })
  })

  it('is refused as well when a template with a value in its place has run before', async () => {
    expect(await run(['select ', ' as a'], 1)).toEqual([{ a: 1 }])
    await expect(run(['select ? as a'])).rejects.toThrow('its own text has a parameter')
    expect(await run(["select '?', ", ' as a'], 1)).toEqual([{ "'?'": '?', a: 1 }])
    await expect(run(["select '", "', ? as a"], 1)).rejects.toThrow('its own text has a parameter')
  })

  it('is a text like any other in quotes and comments', async () => {
    const texts = [`select '? :a' as "?", `, ' as [:b] /* ? */ -- $c \n, 1 as `@d`; -- ?1']
    expect(await run(texts, 5)).toEqual([{ '?': '? :a', ':b': 5, '@d': 1 }])
  })

  it('is refused where a value stands in quotes, a comment, or behind the statement', async () => {
    for (const texts of [
      ["select '", "' as a"],
      ['select 1 /* ', ' */'],
      ['select 1 -- ', ''],
      ['select 1; -- ', ''],
    ])
      await expect(run(texts, 'a secret')).rejects.toMatchObject({
        code: 'ERR_SQL',
        message: expect.stringMatching(/^(?!.*secret).*a value stands in quotes/),
      })
  })
})

describe('what stands behind a statement', () => {
  it('may be a remark, and no other statement', async () => {
    expect(await run(['select 1 as a; -- a remark'])).toEqual([{ a: 1 }])
    expect(await run(['select 1 as a /* ; */ ;; /* another; */ '])).toEqual([{ a: 1 }])
    for (const rest of ['select 2', "'a'", '-- a\n b']) await expect(run([`select 1; ${rest}`])).rejects.toThrow('found another after it')
  })
})
