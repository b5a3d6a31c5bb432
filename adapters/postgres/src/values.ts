import type { SqlValue } from '@banyan/core'
import pg from 'pg'
import { shorten } from './statement.ts'

/** What stores may bind: also arrays, for `unnest` and `= any`. */
export type PostgresValue = SqlValue | readonly SqlValue[]

const INT8 = 20
const NUMERIC = 1700

/**
 * How cells become values. Whole numbers of 64 bits, and numerics without digits behind the point (what `sum` makes of them), become
 * numbers, or bigints where a number would lose digits. Everything else as `pg` does it.
 */
export const rowTypes: pg.CustomTypesConfig = {
  // The typings list the known types by number and know no other way to say "any of them".
  getTypeParser: ((oid: number, format?: 'text' | 'binary') => {
    if (format === 'binary') return pg.types.getTypeParser(oid, format)
    if (oid === INT8) return wholeNumber
    return oid === NUMERIC ? numeric : pg.types.getTypeParser(oid, 'text')
  }) as pg.CustomTypesConfig['getTypeParser'],
}

function wholeNumber(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

function numeric(text: string): number | bigint | string {
  return /^-?\d+$/.test(text) ? wholeNumber(text) : text
}

/** @throws {TypeError} for what may not stand in a placeholder of a user's statement */
export function assertValues(values: readonly SqlValue[], text: string): void {
  for (const [index, value] of values.entries()) {
    if (value === null || value instanceof Uint8Array || ['string', 'number', 'bigint', 'boolean'].includes(typeof value)) continue
    throw new TypeError(
      `cannot run "${shorten(text)}": value ${index + 1} is ${Array.isArray(value) ? 'an array' : `of type ${typeof value}`}, wanted a text, a number, a bigint, a boolean, null or bytes`,
    )
  }
}
