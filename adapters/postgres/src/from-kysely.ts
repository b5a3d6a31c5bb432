import { type ForeignOptions, type ForeignTransaction, foreignTransaction } from './foreign.ts'

/** What is needed of a Kysely `Transaction` (0.27 and later). */
export interface KyselyTransaction {
  /** Plugins would rename the columns of Banyan's tables. */
  withoutPlugins(): { executeQuery(query: KyselyQuery): Promise<{ rows: unknown[] }> }
}

/** What `CompiledQuery.raw` of Kysely makes. */
export interface KyselyQuery {
  readonly sql: string
  readonly parameters: readonly unknown[]
  readonly query: { readonly kind: 'RawNode'; readonly sqlFragments: readonly string[]; readonly parameters: readonly [] }
  readonly queryId: { readonly queryId: string }
}

/**
 * A Kysely transaction as a Banyan `Transaction`:
 *
 * ```ts
 * const tx = await db.transaction().execute(async (trx) => {
 *   const tx = await fromKysely(trx, { database })
 *   await trx.insertInto('orders').values(order).execute()
 *   await publish(tx, orderPlaced, order)
 *   await tx.flush()
 *   return tx
 * })
 * tx.committed()
 * ```
 *
 * Rows of `tx.sql` come as your `pg` makes them: 64-bit numbers as text, unless you taught it otherwise.
 *
 * @throws {PostgresError} `ERR_NOT_FLUSHED` when it is a transaction in a database of another name or in another schema
 */
export function fromKysely(trx: KyselyTransaction, options: ForeignOptions): Promise<ForeignTransaction> {
  const plain = trx.withoutPlugins()
  return foreignTransaction(async (text, values) => {
    const query: KyselyQuery = {
      sql: text,
      parameters: values,
      query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
      queryId: { queryId: options.database.world.uuid() },
    }
    // Kysely gives rows as plain objects.
    return (await plain.executeQuery(query)).rows as object[]
  }, options)
}
