import { consume, relay } from '@banyan/messaging'
import { type Host, type Service, serve } from '@banyan/service'
import { orderCancelled, orderCreated } from '../orders/contract.ts'
import { paymentFailed } from '../payments/contract.ts'
import { inventoryApi, reservationIdOf } from './contract.ts'
import { findReservation, findStock, releaseStock, reserveStock } from './domain.ts'
import { erpImport } from './erp-import.ts'
import { migrations } from './migrations.ts'

export default function main(host: Host): Service {
  const inventory = host.service('inventory', { migrations })

  inventory.use(relay())
  inventory.use(erpImport(host.env.ERP_URL ?? 'http://127.0.0.1:9202'))
  inventory.use(
    serve(inventoryApi, {
      reserve: ({ body, key }, { transaction }) => transaction((tx) => reserveStock(tx, key, body)),
      release: ({ params, key }, { transaction }) => transaction((tx) => releaseStock(tx, key, params.id)),
      reservationOfOrder: ({ params }, { database }) => database.read((tx) => findReservation(tx, params.orderId)),
      getStock: ({ params }, { database }) => database.read((tx) => findStock(tx, params.productId)),
      erpReport: (_, { database }) =>
        database.read(async (tx) => {
          const [row] = await tx.sql<{ translated: number }>`select count(*) as translated from stock`
          const quarantined = await tx.sql<{ record: string; problem: string }>`select record, problem from erp_quarantine order by record`
          return { translated: row?.translated ?? 0, quarantined }
        }),
    }),
  )
  inventory.use(
    consume([orderCreated, orderCancelled, paymentFailed], async ({ type, data }, tx) => {
      if (data.checkout !== 'choreography') return
      const key = `${data.orderId}:stock`
      if (type === 'order.created') await reserveStock(tx, key, data)
      else await releaseStock(tx, key, reservationIdOf(data.orderId))
    }),
  )
  return inventory
}
