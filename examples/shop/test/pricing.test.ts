import type { Client } from '@banyan/service'
import { expect, it } from 'vitest'
import type { catalogApi } from '../catalog/contract.ts'
import { priceItems } from '../orders/pricing.ts'

const PRICES: Record<string, number> = { 'fig-tree': 24_90, bonsai: 480_00, 'one-cent': 1 }
// Only what pricing asks for.
const catalog = {
  getProduct: async ({ params: { id } }: { params: { id: string } }) => ({ productId: id, name: id, priceCents: PRICES[id] ?? 0 }),
} as unknown as Client<typeof catalogApi>

const lines = (productId: string, ...quantities: number[]) => quantities.map((quantity) => ({ productId, quantity }))

it('adds up what the items cost, also where a product comes more than once', async () => {
  expect(await priceItems(catalog, [...lines('fig-tree', 2, 1), ...lines('bonsai', 1)])).toBe(55_470)
})

it('refuses an order that costs more than the databases can hold', async () => {
  const most = 2_147_483_647
  const nearly = lines('bonsai', Math.floor(most / 480_00))
  const rest = most % 480_00
  expect(await priceItems(catalog, [...nearly, ...lines('one-cent', rest)])).toBe(most)
  await expect(priceItems(catalog, [...nearly, ...lines('one-cent', rest + 1)])).rejects.toMatchObject({
    code: 'ERR_ORDER_TOO_LARGE',
    status: 422,
  })
  // All that the contract lets through: 50 lines of 1,000.
  await expect(priceItems(catalog, lines('bonsai', ...Array(50).fill(1_000)))).rejects.toThrow('2400000000 cents')
})
