// The anti-corruption layer: the ERP's words end in this file.
import type { Database, Transaction } from '@banyan/core'
import { exponential, policy, retry, timeout } from '@banyan/resilience'
import { z } from 'zod'
import { ProductId } from '../orders/contract.ts'
import { StockLevel } from './contract.ts'

/** As many as an integer column holds: one number beyond it would keep all records out. */
const Count = z.int().min(0).max(2_147_483_647)

/** A stock record as the ERP sends it. */
const ErpItem = z.looseObject({ ITEMNUMBER: ProductId, QTY_ON_HAND: Count, REORDER_PT: Count })

export type Translation = { ok: true; level: StockLevel } | { ok: false; problem: string }

/** From the ERP's record to ours, checked on both sides. A record that does not fit is an answer, not an error. */
export function translate(record: unknown): Translation {
  const theirs = ErpItem.safeParse(record)
  if (!theirs.success) return { ok: false, problem: describe(theirs.error) }
  const { ITEMNUMBER, QTY_ON_HAND, REORDER_PT } = theirs.data
  const ours = StockLevel.safeParse({ productId: ITEMNUMBER, onHand: QTY_ON_HAND, available: QTY_ON_HAND, reorderPoint: REORDER_PT })
  return ours.success ? { ok: true, level: ours.data } : { ok: false, problem: describe(ours.error) }
}

/**
 * Reads all stock records of the ERP. New products are taken over; those we know keep our own count, which is newer than
 * the ERP's. Records we cannot read are put into quarantine and counted; those of earlier readings leave it.
 */
export async function importStock(database: Database, erpUrl: string): Promise<{ translated: number; quarantined: number }> {
  const records = await erp.run(({ signal }) => fetchRecords(erpUrl, signal), { idempotent: true })
  const translations = records.map((record) => ({ record, translation: translate(record) }))
  await database.transaction(async (tx) => {
    await tx.sql`delete from erp_quarantine`
    for (const { record, translation } of translations) {
      if (translation.ok) await takeOver(tx, translation.level)
      else await quarantine(tx, record, translation.problem)
    }
  })
  const translated = translations.filter(({ translation }) => translation.ok).length
  return { translated, quarantined: records.length - translated }
}

const erp = policy(
  'erp',
  timeout(20_000),
  retry({ attempts: 5, backoff: exponential({ baseMs: 100, capMs: 2_000, jitter: 'full' }) }),
  timeout(3_000),
)

async function fetchRecords(erpUrl: string, signal: AbortSignal): Promise<unknown[]> {
  const response = await fetch(new URL('/items', erpUrl), { signal })
  if (!response.ok) throw new Error(`the ERP answered ${response.status}`)
  return z.array(z.unknown()).parse(await response.json())
}

async function takeOver(tx: Transaction, level: StockLevel): Promise<void> {
  await tx.sql`
    insert into stock (product_id, on_hand, available, reorder_point)
    values (${level.productId}, ${level.onHand}, ${level.available}, ${level.reorderPoint})
    on conflict (product_id) do update set reorder_point = excluded.reorder_point`
}

async function quarantine(tx: Transaction, record: unknown, problem: string): Promise<void> {
  await tx.sql`
    insert into erp_quarantine (record, problem) values (${JSON.stringify(record)}, ${problem})
    on conflict (record) do update set problem = excluded.problem`
}

function describe(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
}
