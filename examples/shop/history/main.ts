import { CodedError } from '@banyan/core'
import { consume } from '@banyan/messaging'
import { watchFlows } from '@banyan/saga'
import { type Host, type Service, serve } from '@banyan/service'
import { notificationSent } from '../notifications/contract.ts'
import type { OrderStatus } from '../orders/contract.ts'
import { orderCancelled, orderConfirmed, orderCreated, orderRejected } from '../orders/contract.ts'
import { shipmentCreated } from '../shipping/contract.ts'
import { historyApi } from './contract.ts'
import { checkout, checkoutWithin } from './flow.ts'
import { migrations } from './migrations.ts'
import { projectNotification, projectOrder, projectShipment } from './projection.ts'

interface HistoryRow {
  orderId: string
  customerId: string
  totalCents: number
  status: OrderStatus
  reason: string | null
  shipped: number
  notified: number
}

export default function main(host: Host): Service {
  const history = host.service('history', { migrations })

  history.use(
    consume(
      [orderCreated, orderConfirmed, orderRejected, orderCancelled, shipmentCreated, notificationSent],
      async ({ type, data }, tx) => {
        if (type === 'order.created') await projectOrder(tx, data, 'pending')
        else if (type === 'order.confirmed') await projectOrder(tx, data, 'confirmed')
        else if (type === 'order.cancelled') await projectOrder(tx, data, 'cancelled')
        else if (type === 'order.rejected') {
          const { reason, ...order } = data
          await projectOrder(tx, order, 'rejected', reason)
        } else if (type === 'shipment.created') await projectShipment(tx, data)
        else if (data.kind === 'shipped') await projectNotification(tx, data)
      },
    ),
  )
  // Here and not in orders: who drives a flow may be what has stopped.
  const withinMs = Number(host.env.SHOP_CHECKOUT_WITHIN_MS ?? checkout.withinMs)
  history.use(watchFlows([checkoutWithin(withinMs)], { graceMs: withinMs / 10, pollMs: Math.min(1_000, withinMs) }))
  history.use(
    serve(historyApi, {
      ordersOfCustomer({ params, headers }, { database }) {
        const subject = headers['x-auth-subject']
        // The gateway names who is signed in; those inside ask for anybody.
        if (subject !== undefined && subject !== params.id)
          throw new CodedError('ERR_NOT_YOURS', 'these are the orders of another customer than is signed in', { status: 403 })
        return database.read(async (tx) => {
          const rows = await tx.sql<HistoryRow>`
            select order_id as "orderId", customer_id as "customerId", total_cents as "totalCents", status, reason, shipped, notified
            from order_history where customer_id = ${params.id} order by order_id desc limit 1000`
          return rows.map(({ reason, shipped, notified, ...row }) => ({
            ...row,
            ...(reason === null ? {} : { reason }),
            shipped: Boolean(shipped),
            notified: Boolean(notified),
          }))
        })
      },
      orderStats: (_, { database }) =>
        database.read(
          (tx) => tx.sql<{ status: OrderStatus; orders: number; totalCents: number }>`
            select status, count(*) as orders, sum(total_cents) as "totalCents" from order_history group by status order by status`,
        ),
    }),
  )
  return history
}
