import { type ForeignOptions, type ForeignTransaction, foreignTransaction } from './foreign.ts'
import { rowTypes } from './values.ts'

/** What is needed of a client of `pg`: a `Client` or one from a `Pool`, of whatever version. */
export interface PgClient {
  query(config: { text: string; values: unknown[]; types: typeof rowTypes }): Promise<{ rows: object[] }>
}

/**
 * Your open transaction on a `pg` client as a Banyan `Transaction`:
 *
 * ```ts
 * await client.query('begin')
 * const tx = await fromPg(client, { database })
 * await client.query('insert into orders ...')
 * await publish(tx, orderPlaced, order)
 * await tx.flush()
 * await client.query('commit')
 * tx.committed()
 * ```
 *
 * @throws {PostgresError} `ERR_NOT_FLUSHED` when no transaction is open, or it is in a database of another name or in another schema
 */
export function fromPg(client: PgClient, options: ForeignOptions): Promise<ForeignTransaction> {
  return foreignTransaction(async (text, values) => (await client.query({ text, values, types: rowTypes })).rows, options)
}
