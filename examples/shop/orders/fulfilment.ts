import { saga } from '@banyan/saga'
import type { Client } from '@banyan/service'
import { type inventoryApi, reservationIdOf } from '../inventory/contract.ts'
import { paymentIdOf, type paymentsApi } from '../payments/contract.ts'
import type { OrderSummary } from './contract.ts'
import { announceOrder, confirmOrder, rejectOrder } from './domain.ts'

interface Participants {
  inventory: Pick<Client<typeof inventoryApi>, 'reserve' | 'release'>
  payments: Pick<Client<typeof paymentsApi>, 'charge' | 'refund'>
}

// region saga
/** The orchestrated checkout: stock, then money, then no way back. */
export const orderFulfilment = ({ inventory, payments }: Participants) =>
  saga<OrderSummary>('order-fulfilment', { version: 1, key: (order) => order.orderId })
    .local('order', {
      do: (tx, c) => announceOrder(tx, c.input),
      undo: (tx, c) => rejectOrder(tx, c.input.orderId, c.reason),
      touches: { order: 'semantic-lock' },
      // Never given up: nothing would be undone then, and the order would stay pending for ever.
      retry: { attempts: Number.MAX_SAFE_INTEGER },
    })
    .step('stock', {
      do: (c) => inventory.reserve({ body: c.input, key: c.key }),
      undo: (c) => inventory.release({ params: { id: reservationIdOf(c.input.orderId) }, key: c.key }),
      touches: { stock: 'commutative-update' },
    })
    .step('money', {
      do: (c) =>
        payments.charge({ body: { orderId: c.input.orderId, amountCents: c.input.totalCents, checkout: c.input.checkout }, key: c.key }),
      undo: async (c) => void (await payments.refund({ params: { id: paymentIdOf(c.input.orderId) }, key: c.key })),
    })
    .pivot('confirm', { local: (tx, c) => confirmOrder(tx, c.input.orderId), touches: { order: 'reread-value' } })
    .done((c) => ({ paymentId: c.money.paymentId }))
// endregion
