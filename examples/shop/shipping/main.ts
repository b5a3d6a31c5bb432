import { CodedError } from '@banyan/core'
import { consume, publish, relay } from '@banyan/messaging'
import { type Host, type Service, serve } from '@banyan/service'
import { orderConfirmed } from '../orders/contract.ts'
import { type Shipment, shipmentCreated, shippingApi } from './contract.ts'
import { migrations } from './migrations.ts'

export default function main(host: Host): Service {
  const shipping = host.service('shipping', { migrations })

  shipping.use(relay())
  // region consume
  shipping.use(
    consume(orderConfirmed, async ({ data: { orderId, customerId } }, tx) => {
      const shipment: Shipment = { shipmentId: `shipment-${orderId}`, orderId, customerId, tracking: trackingOf(orderId) }
      await tx.sql`
        insert into shipments (shipment_id, order_id, customer_id, tracking)
        values (${shipment.shipmentId}, ${orderId}, ${customerId}, ${shipment.tracking})`
      await publish(tx, shipmentCreated, shipment)
    }),
  )
  // endregion
  shipping.use(
    serve(shippingApi, {
      shipmentOfOrder: ({ params }, { database }) =>
        database.read(async (tx) => {
          const [shipment] = await tx.sql<Shipment>`
            select shipment_id as "shipmentId", order_id as "orderId", customer_id as "customerId", tracking
            from shipments where order_id = ${params.orderId}`
          if (!shipment) throw new CodedError('ERR_SHIPMENT_UNKNOWN', `order "${params.orderId}" has no shipment`, { status: 404 })
          return shipment
        }),
    }),
  )
  return shipping
}

function trackingOf(orderId: string): string {
  return `BY${orderId.replaceAll('-', '').slice(-12).toUpperCase()}`
}
