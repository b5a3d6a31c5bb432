import { type ForeignOptions, type ForeignTransaction, foreignTransaction } from './foreign.ts'

/** What is needed of the client that Prisma's interactive `$transaction` gives. */
export interface PrismaTransaction {
  $queryRawUnsafe(text: string, ...values: unknown[]): PromiseLike<unknown>
}

/**
 * An interactive transaction of Prisma as a Banyan `Transaction`:
 *
 * ```ts
 * const tx = await prisma.$transaction(async (prismaTx) => {
 *   const tx = await fromPrisma(prismaTx, { database })
 *   await prismaTx.order.create({ data: order })
 *   await publish(tx, orderPlaced, order)
 *   await tx.flush()
 *   return tx
 * })
 * tx.committed()
 * ```
 *
 * Rows of `tx.sql` come as Prisma makes them: 64-bit numbers as bigint.
 *
 * @throws {PostgresError} `ERR_NOT_FLUSHED` when it is a transaction in a database of another name or in another schema
 */
export function fromPrisma(prisma: PrismaTransaction, options: ForeignOptions): Promise<ForeignTransaction> {
  return foreignTransaction(async (text, values) => {
    const rows = await prisma.$queryRawUnsafe(text, ...values)
    return Array.isArray(rows) ? rows : []
  }, options)
}
