// The services' own databases, read from outside; nobody is asked.
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { serviceDatabaseUrl } from '@banyan/cli'
import pg from 'pg'

/** Where the books of a shop are. */
export interface BookPlace {
  readonly dataDir: string
  /** The services' databases are on this server and not in `dataDir`. */
  readonly databaseUrl?: string | undefined
}

export type Row = Record<string, string | number | null>

export interface Books {
  orders: Row[]
  payments: Map<unknown, Row>
  charges: Map<unknown, Row>
  reservations: Map<unknown, Row>
  stock: Row[]
  shipments: Map<unknown, Row[]>
  messages: Map<unknown, Row[]>
  history: Map<unknown, Row>
}

/** Reads all of it. */
export async function readBooks({ dataDir, databaseUrl }: BookPlace): Promise<Books> {
  const inFile = async (service: string, table: string) => readFile(join(dataDir, `${service}.db`), table)
  const rows = databaseUrl ? (service: string, table: string) => readServer(serviceDatabaseUrl(databaseUrl, service), table) : inFile
  const by = (key: string, list: Row[]) => new Map(list.map((row) => [row[key], row]))
  // The payment provider is no service of the shop: its ledger is a file whatever they use.
  const [orders, payments, charges, reservations, stock, shipments, messages, history] = await Promise.all([
    rows('orders', 'orders'),
    rows('payments', 'payments'),
    inFile('psp', 'charges'),
    rows('inventory', 'reservations'),
    rows('inventory', 'stock'),
    rows('shipping', 'shipments'),
    rows('notifications', 'notifications'),
    rows('history', 'order_history'),
  ])
  return {
    orders,
    payments: by('order_id', payments),
    charges: by('key', charges),
    reservations: by('order_id', reservations),
    stock,
    shipments: Map.groupBy(shipments, (row) => row.order_id),
    messages: Map.groupBy(messages, (row) => row.order_id),
    history: by('order_id', history),
  }
}

function readFile(file: string, table: string): Row[] {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
  try {
    return database.prepare(`select * from ${table}`).all() as Row[]
  } finally {
    database.close()
  }
}

async function readServer(url: string, table: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Row>(`select * from ${table}`)).rows
  } finally {
    await client.end()
  }
}
