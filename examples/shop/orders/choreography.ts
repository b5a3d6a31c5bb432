import { consume } from '@banyan/messaging'
import type { Service } from '@banyan/service'
import { stockRejected } from '../inventory/contract.ts'
import { paymentFailed, paymentSucceeded } from '../payments/contract.ts'
import { confirmOrder, rejectOrder } from './domain.ts'

/** The choreographed checkout, as orders sees it: it waits for the answers of those who hold stock and money. */
export function answerEvents(orders: Service): void {
  orders.use(
    consume([stockRejected, paymentFailed, paymentSucceeded], async ({ type, data }, tx) => {
      if (data.checkout !== 'choreography') return
      if (type === 'payment.succeeded') await confirmOrder(tx, data.orderId)
      else await rejectOrder(tx, data.orderId, data.reason)
    }),
  )
}
