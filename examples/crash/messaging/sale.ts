import { event, type Migration, type Schema } from '@banyan/core'

/** The `n`th sale of a product. */
export interface Sale {
  key: string
  n: number
}

const schema: Schema<Sale> = {
  '~standard': {
    version: 1,
    vendor: 'crash',
    validate(value) {
      // Checked in this line.
      const sale = value as Partial<Sale> | null
      if (typeof sale?.key === 'string' && typeof sale.n === 'number') return { value: { key: sale.key, n: sale.n } }
      return { issues: [{ message: 'is not a sale' }] }
    },
  },
}

export const saleMade = event('sale.made', { schema, key: ({ key }) => key })

/** The products. */
export const KEYS = ['ant', 'bee', 'cat', 'dog', 'eel', 'fox']

/** The row of `sold` that says: this shop sells no more. */
export const CLOSED = '(closed)'

/** The producer's table: how often each product was sold. */
export const shopTables: readonly Migration[] = [{ id: '001-sold', sql: 'create table sold (key text primary key, n integer not null)' }]

/** The consumer's table, with nothing that would hide a second effect; and the note of a consumer that is broken on purpose. */
export function bookTables(dialect: 'sqlite' | 'postgres'): readonly Migration[] {
  const position = dialect === 'sqlite' ? 'integer primary key autoincrement' : 'bigint generated always as identity primary key'
  return [
    { id: '001-effects', sql: `create table effects (position ${position}, key text not null, n integer not null)` },
    { id: '002-naive-inbox', sql: 'create table naive_inbox (id text primary key)' },
  ]
}
