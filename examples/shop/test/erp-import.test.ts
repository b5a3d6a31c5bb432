import { sqlite } from '@banyan/sqlite'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { importStock } from '../inventory/erp.ts'
import { migrations } from '../inventory/migrations.ts'

let database: ReturnType<typeof sqlite>
beforeEach(async () => {
  database = sqlite(':memory:', { name: 'inventory' })
  await database.migrate(migrations)
})
afterEach(async () => {
  vi.unstubAllGlobals()
  await database.close()
})

const read = (...records: unknown[]) => {
  vi.stubGlobal('fetch', async () => Response.json(records))
  return importStock(database, 'http://erp.example')
}
const quarantined = () => database.read((tx) => tx.sql`select record from erp_quarantine`)

const HOSE = { ITEMNUMBER: 'hose', QTY_ON_HAND: 17, REORDER_PT: 5 }

it('a record leaves the quarantine once the ERP has mended it or has it no more', async () => {
  const broken = { ...HOSE, QTY_ON_HAND: '17' }
  const strange = { ITMNO: 'compost' }
  expect(await read(broken, strange)).toEqual({ translated: 0, quarantined: 2 })
  expect(await quarantined()).toHaveLength(2)
  expect(await read(HOSE, strange)).toEqual({ translated: 1, quarantined: 1 })
  expect(await quarantined()).toEqual([{ record: JSON.stringify(strange) }])
  expect(await read(HOSE)).toEqual({ translated: 1, quarantined: 0 })
  expect(await quarantined()).toEqual([])
})
