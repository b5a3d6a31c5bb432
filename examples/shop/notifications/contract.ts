// What notifications promises to others. The only file of this service that they may import.
import { api, event } from '@banyan/core'
import { z } from 'zod'

export const Notification = z.object({
  notificationId: z.string(),
  customerId: z.string(),
  orderId: z.string(),
  kind: z.enum(['received', 'confirmed', 'rejected', 'cancelled', 'shipped']),
  text: z.string(),
})
export type Notification = z.infer<typeof Notification>

export const notificationsApi = api('notifications', {
  operations: {
    list: {
      method: 'GET',
      path: '/notifications',
      summary: 'What was sent to a customer, oldest first',
      query: z.object({ customerId: z.string().min(1) }),
      response: z.array(Notification),
    },
  },
})

export const notificationSent = event('notification.sent', { version: 1, schema: Notification, key: (data) => data.orderId })
