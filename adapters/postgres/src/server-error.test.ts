import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { isDisconnect, toPostgresError } from './server-error.ts'

/** An error as the driver makes it of what a server says. */
function said(message: string, fields: Partial<pg.DatabaseError>): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError(message, 100, 'error'), { severity: 'ERROR', ...fields })
}

describe('a connection that the server has ended', () => {
  it.each([
    ['57P01', 'ВАЖНО', 'закрытие подключения по команде администратора'],
    ['57P02', 'ВАЖНО', 'крах другого процесса'],
    ['57P05', 'ВАЖНО', 'простой сеанса'],
    ['25P03', 'ВАЖНО', 'простой в транзакции'],
    ['25P04', 'ВАЖНО', 'тайм-аут транзакции'],
    ['XX000', 'FATAL', 'anything'],
    ['XX000', 'PANIC', 'anything'],
  ])('is known in any language: %s, %s', (code, severity, message) => {
    expect(isDisconnect(toPostgresError(said(message, { code, severity }), 'run "x"'))).toBe(true)
  })

  it.each(['57014', '57P06', '40001', '25P02'])('is not one on which a statement was refused: %s', (code) => {
    expect(isDisconnect(toPostgresError(said('отказ', { code, severity: 'ОШИБКА' }), 'run "x"'))).toBe(false)
  })
})

describe('what a message says about a value', () => {
  it.each([
    ['22P02', 'invalid input syntax for type integer: "a "secret" one"', 'invalid input syntax for type integer: "..."'],
    ['22003', 'value "secret" is out of range for type bigint', 'value "..." is out of range for type bigint'],
    ['22P02', 'ungültige Eingabesyntax für Typ integer: »secret«', 'ungültige Eingabesyntax für Typ integer: "..."'],
    ['22P02', 'syntaxe en entrée invalide pour le type integer : « sec«r»et »', 'syntaxe en entrée invalide pour le type integer : "..."'],
    ['22P02', 'неверный синтаксис для типа integer: «secret»', 'неверный синтаксис для типа integer: "..."'],
    ['22P02', 'neplatná vstupní syntaxe pro typ integer: „secret“', 'neplatná vstupní syntaxe pro typ integer: "..."'],
    ['22P02', 'unpaired: "secret', 'unpaired: "..."'],
    ['22021', 'invalid byte sequence for encoding "UTF8": 0xc3 0x28', 'invalid byte sequence for encoding "...": 0x...'],
    ['22012', 'division by zero', 'division by zero'],
  ])('is that there was one, and not which: %s, %s', (code, message, wanted) => {
    const error = toPostgresError(said(message, { code }), 'run "x"')
    expect(error.message).toBe(`cannot run "x": ${wanted}`)
    expect(error.cause).toMatchObject({ message: wanted })
  })

  it('is all of it where the message is about the statement', () => {
    const error = toPostgresError(said('column "total" does not exist', { code: '42703' }), 'run "x"')
    expect(error.message).toBe('cannot run "x": column "total" does not exist')
  })
})

describe('a constraint that is broken', () => {
  it.each([
    ['23505', 'unique'],
    ['23503', 'foreign-key'],
    // From PostgreSQL 18 on, `on delete restrict`.
    ['23001', 'foreign-key'],
    ['23514', 'check'],
    ['23P01', 'other'],
  ])('is told by its kind: %s, %s', (code, kind) => {
    const error = toPostgresError(said('no', { code, constraint: 'named' }), 'run "x"')
    expect(error).toMatchObject({ code: 'ERR_SQL_CONSTRAINT', constraint: { kind, on: 'named' } })
  })
})
