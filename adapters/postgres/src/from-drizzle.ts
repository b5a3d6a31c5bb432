import { type ForeignOptions, type ForeignTransaction, foreignTransaction } from './foreign.ts'

/** What is needed of a Drizzle transaction on PostgreSQL. */
export interface DrizzleTransaction<Query> {
  // Its result depends on the driver: `{ rows }` of node-postgres, a plain array of postgres.js.
  execute(query: Query): PromiseLike<unknown>
}

/** What is needed of Drizzle's `sql`. */
export interface DrizzleSql<Query> {
  // A method, so that Drizzle's own, which takes less, fits: it is given texts and what its `param` makes.
  (strings: TemplateStringsArray, ...parameters: never[]): Query
  param(value: unknown): unknown
}

/**
 * A Drizzle transaction as a Banyan `Transaction`; `sql` is Drizzle's own, since statements for it can only be made by it:
 *
 * ```ts
 * import { sql } from 'drizzle-orm'
 *
 * const tx = await db.transaction(async (drizzleTx) => {
 *   const tx = await fromDrizzle(drizzleTx, { database, sql })
 *   await drizzleTx.insert(orders).values(order)
 *   await publish(tx, orderPlaced, order)
 *   await tx.flush()
 *   return tx
 * })
 * tx.committed()
 * ```
 *
 * Rows of `tx.sql` come as your driver makes them: 64-bit numbers as text, unless you taught it otherwise.
 *
 * @throws {PostgresError} `ERR_NOT_FLUSHED` when it is a transaction in a database of another name or in another schema
 */
export function fromDrizzle<Query>(
  drizzle: DrizzleTransaction<Query>,
  { sql, ...options }: ForeignOptions & { sql: DrizzleSql<Query> },
): Promise<ForeignTransaction> {
  return foreignTransaction(async (text, values, parts) => {
    const { strings, given } = parts ? { strings: parts, given: values } : partsOf(text, values)
    // `param` keeps an array one value; Drizzle would make a list of it.
    const parameters = given.map((value) => sql.param(value)) as never[]
    return rowsOf(await drizzle.execute(sql(Object.assign([...strings], { raw: strings }), ...parameters)))
  }, options)
}

/**
 * A store's text as a template: what stands between `$1`, `$2`, ..., and the values that stand there; one that comes twice is given twice.
 * No store has such a number in a literal; users' templates may, and their parts are known.
 */
function partsOf(text: string, values: readonly unknown[]): { strings: readonly string[]; given: readonly unknown[] } {
  // With a group in the pattern every second part is a number.
  const parts = text.split(/\$(\d+)/)
  const numbers = parts.filter((_, index) => index % 2 === 1).map(Number)
  return { strings: parts.filter((_, index) => index % 2 === 0), given: numbers.map((number) => values[number - 1]) }
}

function rowsOf(result: unknown): object[] {
  if (Array.isArray(result)) return result
  if (typeof result === 'object' && result !== null && 'rows' in result && Array.isArray(result.rows)) return result.rows
  throw new TypeError('cannot read what Drizzle gave for a statement: wanted an array, or an object with "rows"')
}
