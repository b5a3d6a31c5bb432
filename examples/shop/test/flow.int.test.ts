import { silentLogger } from '@banyan/core'
import { flows } from '@banyan/saga'
import { sqlite } from '@banyan/sqlite'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type OpenShop, openShop } from './open-shop.ts'

let shop: OpenShop | undefined
afterEach(async () => {
  await shop?.close()
  shop = undefined
})

async function open(checkout: 'choreography' | 'orchestration', env: Record<string, string> = {}): Promise<OpenShop> {
  shop = await openShop({ processes: 'one', checkout, env })
  return shop
}

/** The flows that the shop's history has seen: order, how it stands, where, what is wrong, and whether time may still change that. */
async function seen(dataDir: string): Promise<string[]> {
  const database = sqlite(`${dataDir}/history.db`, { log: silentLogger })
  try {
    const found = await flows(database).list({ limit: 100 })
    return found
      .map(({ correlationId, status, standsAt = '-', open, wakeAt }) => {
        const flags = open.map(({ kind }) => kind)
        return [correlationId, status, standsAt, ...flags, ...(wakeAt === undefined ? [] : ['waiting'])].join(' ')
      })
      .sort()
  } finally {
    await database.close()
  }
}

describe('the choreographed checkout', () => {
  it('flags no order that is shipped, declined, or out of stock', async () => {
    const { order, dataDir } = await open('choreography')
    const orders = [await order('good', 'fig-tree'), await order('unlucky', 'unlucky-clover'), await order('rare', 'blue-rose')]
    const [good, unlucky, rare] = orders.map(({ body }) => String(body.orderId))
    const ended = [`${good} ended shipment.created`, `${unlucky} ended order.rejected`, `${rare} ended order.rejected`].sort()
    await vi.waitFor(async () => expect(await seen(dataDir)).toEqual(ended), { timeout: 10_000 })
  })

  it('flags an order that stops half-way, with the event it stands at', async () => {
    // Nobody answers at the payment provider, so payments never says how it went.
    const { shopper, dataDir } = await open('choreography', { PSP_URL: 'http://127.0.0.1:1', SHOP_CHECKOUT_WITHIN_MS: '2000' })
    const { body } = await shopper.placeOrder('stuck', [{ productId: 'fig-tree', quantity: 1 }])
    await vi.waitFor(async () => expect(await seen(dataDir)).toEqual([`${body.orderId} stopped stock.reserved stopped`]), {
      timeout: 15_000,
    })
  })

  it('lets orders pass that the saga drives', async () => {
    const { order, dataDir } = await open('orchestration')
    const { body } = await order('driven', 'fig-tree')
    await vi.waitFor(async () => expect(await seen(dataDir)).toEqual([`${body.orderId} ignored -`]), { timeout: 10_000 })
  })
})
