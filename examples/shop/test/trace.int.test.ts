import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openShop } from './open-shop.ts'

it('follows one order from the gateway to the notification by a single trace through at least five services', async () => {
  const shop = await openShop({ processes: 'each', checkout: 'orchestration' })
  try {
    const placed = await shop.shopper.placeOrder('traced', [{ productId: 'watering-can', quantity: 1 }])
    const traceId = placed.traceId ?? 'no trace id came back'
    const arrived = () => shop.running.traces.spans(traceId).some(({ name }) => name === 'consume shipment.created')
    for (let tries = 0; tries < 400 && !arrived(); tries += 1) await pause(25)

    const spans = shop.running.traces.spans(traceId)
    const services = new Set(spans.map((span) => span.service))
    expect([...services]).toEqual(expect.arrayContaining(['gateway', 'orders', 'inventory', 'payments', 'shipping', 'notifications']))
    const ids = new Set(spans.map((span) => span.spanId))
    const roots = spans.filter((span) => !span.parentSpanId || !ids.has(span.parentSpanId))
    expect(roots.map(({ service }) => service)).toEqual(['gateway'])
  } finally {
    await shop.close()
  }
})
