import { CodedError } from '@banyan/core'
import { type Client, ServiceError } from '@banyan/service'
import type { catalogApi } from '../catalog/contract.ts'

/**
 * What the items cost together, in cents, by the catalog's prices.
 *
 * @throws `ERR_PRODUCT_UNKNOWN` (422) naming the product
 */
export async function priceItems(
  catalog: Client<typeof catalogApi>,
  items: readonly { productId: string; quantity: number }[],
): Promise<number> {
  const ids = [...new Set(items.map((item) => item.productId))]
  const prices = new Map(await Promise.all(ids.map(async (id) => [id, await priceOf(catalog, id)] as const)))
  return items.reduce((total, { productId, quantity }) => total + (prices.get(productId) ?? 0) * quantity, 0)
}

async function priceOf(catalog: Client<typeof catalogApi>, id: string): Promise<number> {
  try {
    return (await catalog.getProduct({ params: { id } })).priceCents
  } catch (error) {
    if (!(error instanceof ServiceError && error.status === 404)) throw error
    throw new CodedError('ERR_PRODUCT_UNKNOWN', `there is no product "${id}"; GET /api/products lists what is on sale`, {
      status: 422,
      cause: error,
    })
  }
}
