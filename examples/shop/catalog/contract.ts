// What catalog promises to others. The only file of this service that they may import.
import { api, event } from '@banyan/core'
import { z } from 'zod'

export const Product = z.object({ productId: z.string(), name: z.string(), priceCents: z.int().min(0) }).meta({ title: 'Product' })
export type Product = z.infer<typeof Product>

const protocols = ['http', 'grpc', 'graphql'] as const

export const catalogApi = api('catalog', {
  operations: {
    listProducts: { method: 'GET', path: '/products', summary: 'Everything on sale', response: z.array(Product), protocols },
    getProduct: { method: 'GET', path: '/products/{id}', summary: 'One product', response: Product, protocols },
  },
})

/** Keeps the numbers of the fields over gRPC; `write-proto.ts` writes it anew. */
export const catalogProto: URL = new URL('./catalog.proto', import.meta.url)

export const productChanged = event('product.changed', { version: 1, schema: Product, key: (data) => data.productId })
