import { describe, expect, it } from 'vitest'
import { shorten, textOf } from './statement.ts'

const text = (strings: TemplateStringsArray, ..._: unknown[]) => textOf(strings)

describe('the text of a template', () => {
  it('has a number for each value', () => {
    expect(text`select ${1}, ${'two'} from t where x = ${null}`).toBe('select $1, $2 from t where x = $3')
    expect(text`select 1`).toBe('select 1')
  })

  it.each([
    'begin',
    'START TRANSACTION',
    ' commit',
    '-- so long\nrollback',
    '/* one */ /* two */ savepoint a',
    '; commit',
    ' ;; /* one */ ; rollback',
    '/* one /* in it */ */ commit',
    '-- so long\rcommit',
    '/**/commit',
    'release a',
    'set session x = 1',
    'set search_path = x',
    'reset all',
    'vacuum',
    "prepare transaction 'x'",
  ])('is refused when it would begin, end or change more than its transaction: %s', (sql) => {
    expect(() => textOf(Object.assign([sql], { raw: [sql] }))).toThrow(expect.objectContaining({ code: 'ERR_TRANSACTION_CONTROL' }))
  })

  it.each([
    'set local lock_timeout = 1',
    'set constraints all deferred',
    'select 1 -- commit',
    'update settings set x = 1',
    'select begin from t',
    '/* one /* in it */ commit */ select 1',
    '/* commit',
    '-- commit',
    '',
  ])('is taken when it would not: %s', (sql) => {
    expect(textOf(Object.assign([sql], { raw: [sql] }))).toBe(sql)
  })

  it('is looked at in no time, however many comments stand before it', () => {
    const sql = `${'/*x*/'.repeat(100_000)}select 1`
    expect(textOf(Object.assign([sql], { raw: [sql] }))).toBe(sql)
    const unended = '/*x*/ /*'.repeat(20_000)
    expect(textOf(Object.assign([unended], { raw: [unended] }))).toBe(unended)
  })

  it('is one short line in messages', () => {
    expect(shorten('  select\n  1 ')).toBe('select 1')
    expect(shorten('x'.repeat(1_000))).toHaveLength(303)
  })
})
