import { CodedError, type Component, databaseOf } from '@banyan/core'
import { graphql } from '@banyan/graphql'
import { grpc } from '@banyan/grpc'
import { publish, relay } from '@banyan/messaging'
import { type Host, type Service, serve } from '@banyan/service'
import { catalogApi, catalogProto, type Product, productChanged } from './contract.ts'
import { migrations } from './migrations.ts'
import { firstProducts } from './products.ts'

export default function main(host: Host): Service {
  const catalog = host.service('catalog', { migrations })

  catalog.use(relay())
  catalog.use(openingStock)
  catalog.use(
    serve(catalogApi, {
      listProducts: (_, { database }) =>
        database.read(
          (tx) => tx.sql<Product>`select product_id as "productId", name, price_cents as "priceCents" from products order by product_id`,
        ),
      getProduct: ({ params }, { database }) =>
        database.read(async (tx) => {
          const [product] = await tx.sql<Product>`
            select product_id as "productId", name, price_cents as "priceCents" from products where product_id = ${params.id}`
          if (!product) throw new CodedError('ERR_PRODUCT_UNKNOWN', `there is no product "${params.id}"`, { status: 404 })
          return product
        }),
    }),
  )
  catalog.use(grpc({ contracts: [{ api: catalogApi, proto: catalogProto }] }))
  // Whoever tries the shop out may look around; a service that faces the world leaves it off.
  catalog.use(graphql({ contracts: [catalogApi], introspection: true }))
  return catalog
}

/** Puts the first products on sale, once. */
const openingStock: Component = {
  name: 'first-products',
  async start(context) {
    await databaseOf(context, 'first-products').transaction(async (tx) => {
      for (const product of firstProducts) {
        const added = await tx.sql`
          insert into products (product_id, name, price_cents) values (${product.productId}, ${product.name}, ${product.priceCents})
          on conflict (product_id) do nothing returning product_id`
        if (added.length > 0) await publish(tx, productChanged, product)
      }
    })
  },
  async stop() {},
}
