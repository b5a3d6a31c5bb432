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

/** The products, and how often each is sold in a trial. */
export const KEYS = ['ant', 'bee', 'cat', 'dog', 'eel', 'fox']
export const SALES = 30

/** The producer's table: how often each product was sold. */
export const shopTables: readonly Migration[] = [
  { id: '001-sold', sql: 'create table sold (key text primary key, n integer not null) strict, without rowid' },
]

/** The consumer's table, with nothing that would hide a second effect. */
export const bookTables: readonly Migration[] = [
  {
    id: '001-effects',
    sql: 'create table effects (position integer primary key autoincrement, key text not null, n integer not null) strict',
  },
]
