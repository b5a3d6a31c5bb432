import { CodedError } from '@banyan/core'
import { type Client, ServiceError } from '@banyan/service'
import type { catalogApi } from '../catalog/contract.ts'

/**
 * What the items cost together, in cents, by the catalog's prices.
 *
 * @throws `ERR_PRODUCT_UNKNOWN` (422) naming the product, `ERR_ORDER_TOO_LARGE` (422) above 2,147,483,647 cents
 */
export async function priceItems(
  catalog: Client<typeof catalogApi>,
  items: readonly { productId: string; quantity: number }[],
): Promise<number> {
  const ids = [...new Set(items.map((item) => item.productId))]
  const prices = new Map(await Promise.all(ids.map(async (id) => [id, await priceOf(catalog, id)] as const)))
  const total = items.reduce((sum, { productId, quantity }) => sum + (prices.get(productId) ?? 0) * quantity, 0)
  if (total <= MOST_CENTS) return total
  throw new CodedError('ERR_ORDER_TOO_LARGE', `the items cost ${total} cents, an order at most ${MOST_CENTS}; make several of it`, {
    status: 422,
  })
}

/** As much as an integer column holds, in the database of every service that writes the total down. */
const MOST_CENTS = 2_147_483_647

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
