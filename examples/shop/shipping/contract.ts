// What shipping promises to others. The only file of this service that they may import.
import { api, event } from '@banyan/core'
import { z } from 'zod'

export const Shipment = z.object({ shipmentId: z.string(), orderId: z.string(), customerId: z.string(), tracking: z.string() })
export type Shipment = z.infer<typeof Shipment>

export const shippingApi = api('shipping', {
  operations: {
    shipmentOfOrder: { method: 'GET', path: '/shipments/order/{orderId}', summary: "An order's shipment", response: Shipment },
  },
})

export const shipmentCreated = event('shipment.created', { version: 1, schema: Shipment, key: (data) => data.orderId })
