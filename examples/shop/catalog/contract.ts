// What catalog promises to others. The only file of this service that they may import.
import { api, event } from '@banyan/core'
import { z } from 'zod'

export const Product = z.object({ productId: z.string(), name: z.string(), priceCents: z.int().min(0) })
export type Product = z.infer<typeof Product>

export const catalogApi = api('catalog', {
  operations: {
    listProducts: { method: 'GET', path: '/products', summary: 'Everything on sale', response: z.array(Product) },
    getProduct: { method: 'GET', path: '/products/{id}', summary: 'One product', response: Product },
  },
})

export const productChanged = event('product.changed', { version: 1, schema: Product, key: (data) => data.productId })
