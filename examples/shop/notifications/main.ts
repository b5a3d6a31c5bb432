import { CodedError } from '@banyan/core'
import { consume, publish, relay } from '@banyan/messaging'
import { type Host, type Service, serve } from '@banyan/service'
import { orderCancelled, orderConfirmed, orderCreated, orderRejected } from '../orders/contract.ts'
import { shipmentCreated } from '../shipping/contract.ts'
import { type Notification, notificationSent, notificationsApi } from './contract.ts'
import { migrations } from './migrations.ts'

const MESSAGES = {
  'order.created': { kind: 'received', text: (orderId: string) => `We have received your order ${orderId}.` },
  'order.confirmed': { kind: 'confirmed', text: (orderId: string) => `Your order ${orderId} is confirmed.` },
  'order.rejected': { kind: 'rejected', text: (orderId: string) => `We are sorry: we could not fill your order ${orderId}.` },
  'order.cancelled': { kind: 'cancelled', text: (orderId: string) => `Your order ${orderId} is cancelled.` },
  'shipment.created': { kind: 'shipped', text: (orderId: string) => `Your order ${orderId} is on its way.` },
} as const

export default function main(host: Host): Service {
  const notifications = host.service('notifications', { migrations })

  notifications.use(relay())
  notifications.use(
    consume([orderCreated, orderConfirmed, orderRejected, orderCancelled, shipmentCreated], async ({ type, data }, tx) => {
      const { orderId, customerId } = data
      const { kind, text } = MESSAGES[type]
      const sent: Notification = { notificationId: host.world.uuid(), customerId, orderId, kind, text: text(orderId) }
      await tx.sql`
        insert into notifications (notification_id, customer_id, order_id, kind, text)
        values (${sent.notificationId}, ${customerId}, ${orderId}, ${kind}, ${sent.text})`
      await publish(tx, notificationSent, sent)
    }),
  )
  notifications.use(
    serve(notificationsApi, {
      list({ query, headers }, { database }) {
        const subject = headers['x-auth-subject']
        // The gateway names who is signed in; those inside ask for anybody.
        if (subject !== undefined && subject !== query.customerId)
          throw new CodedError('ERR_NOT_YOURS', 'these are the messages of another customer than is signed in', { status: 403 })
        return database.read(
          (tx) => tx.sql<Notification>`
            select notification_id as "notificationId", customer_id as "customerId", order_id as "orderId", kind, text
            from notifications where customer_id = ${query.customerId} order by notification_id`,
        )
      },
    }),
  )
  return notifications
}
