import { CodedError } from '@banyan/core'
import { relay } from '@banyan/messaging'
import { runSagas, startSaga } from '@banyan/saga'
import { type Host, type Service, serve } from '@banyan/service'
import { catalogApi } from '../catalog/contract.ts'
import { inventoryApi } from '../inventory/contract.ts'
import { paymentsApi } from '../payments/contract.ts'
import { answerEvents } from './choreography.ts'
import { Checkout, type OrderSummary, type OrderView, ordersApi } from './contract.ts'
import { announceOrder, cancelOrder, findOrder, insertOrder } from './domain.ts'
import { orderFulfilment } from './fulfilment.ts'
import { migrations } from './migrations.ts'
import { once } from './once.ts'
import { priceItems } from './pricing.ts'

export default function main(host: Host): Service {
  const orders = host.service('orders', { migrations })
  const catalog = host.client(catalogApi)
  const fulfilment = orderFulfilment({ inventory: host.client(inventoryApi), payments: host.client(paymentsApi) })
  const checkout = Checkout.parse(host.env.SHOP_CHECKOUT ?? 'orchestration')

  orders.use(relay())
  orders.use(runSagas([fulfilment]))
  answerEvents(orders)
  orders.use(
    serve(ordersApi, {
      async placeOrder({ body, key, headers }, { transaction, world }) {
        const customerId = customerOf(headers)
        const totalCents = await priceItems(catalog, body.items)
        const order: OrderSummary = { orderId: world.uuid(), customerId, items: body.items, totalCents, checkout }
        return transaction((tx) =>
          once(tx, { customerId, key }, body, async () => {
            await insertOrder(tx, order)
            if (checkout === 'orchestration') await startSaga(tx, fulfilment, order)
            else await announceOrder(tx, order)
            const { checkout: _, ...view } = order
            return { ...view, status: 'pending' } satisfies OrderView
          }),
        )
      },
      getOrder: ({ params, headers }, { database }) => database.read((tx) => findOrder(tx, params.id, customerOf(headers))),
      cancelOrder: ({ params, headers }, { transaction }) => transaction((tx) => cancelOrder(tx, params.id, customerOf(headers))),
    }),
  )
  return orders
}

/** The gateway checks the token and names its subject; a client cannot set this header through it. */
function customerOf(headers: Readonly<Record<string, string>>): string {
  const customerId = headers['x-auth-subject']
  if (customerId) return customerId
  throw new CodedError('ERR_NOT_SIGNED_IN', 'no customer: sign in at POST /api/sessions and send the token through the gateway', {
    status: 401,
  })
}
