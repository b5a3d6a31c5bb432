import { setTimeout as pause } from 'node:timers/promises'
import type { Span } from '@banyan/cli'
import { expect, it } from 'vitest'
import { openShop } from './open-shop.ts'

const SERVICES = ['gateway', 'orders', 'inventory', 'payments', 'shipping', 'notifications']

it('follows one order from the gateway to the notification by a single trace through at least five services', async () => {
  const shop = await openShop({ processes: 'each', checkout: 'orchestration' })
  try {
    const placed = await shop.shopper.placeOrder('traced', [{ productId: 'watering-can', quantity: 1 }])
    const spans = () => shop.running.traces.spans(placed.traceId ?? '')
    // Each process sends its spans when it likes, so a child may come before its parent.
    for (let tries = 0; tries < 400 && !(isThere(spans()) && rootsOf(spans()).length === 1); tries += 1) await pause(25)

    expect(servicesOf(spans())).toEqual(expect.arrayContaining(SERVICES))
    expect(rootsOf(spans()).map(({ service, name }) => `${service}: ${name}`)).toEqual(['gateway: POST /api/orders'])
    const told = spans().find(({ name, service }) => name === 'consume shipment.created' && service === 'notifications')
    expect(ancestry(told, spans())).toEqual(expect.arrayContaining(['shipping', 'orders', 'gateway']))
  } finally {
    await shop.close()
  }
})

function isThere(spans: readonly Span[]): boolean {
  const services = servicesOf(spans)
  return SERVICES.every((service) => services.includes(service)) && spans.some(({ name }) => name === 'consume shipment.created')
}

function servicesOf(spans: readonly Span[]): (string | undefined)[] {
  return [...new Set(spans.map(({ service }) => service))]
}

function rootsOf(spans: readonly Span[]): readonly Span[] {
  const ids = new Set(spans.map(({ spanId }) => spanId))
  return spans.filter(({ parentSpanId }) => !parentSpanId || !ids.has(parentSpanId))
}

/** The services on the way from a span up to the root. */
function ancestry(span: Span | undefined, spans: readonly Span[]): (string | undefined)[] {
  if (!span) return []
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
  return [span.service, ...ancestry(parent, spans)]
}
