import type { Product } from './contract.ts'

/** What is on sale when the shop opens for the first time. */
export const firstProducts: readonly Product[] = [
  { productId: 'fig-tree', name: 'Fig tree, 1 m', priceCents: 24_90 },
  { productId: 'watering-can', name: 'Watering can, 10 l', priceCents: 18_50 },
  { productId: 'secateurs', name: 'Secateurs', priceCents: 32_00 },
  { productId: 'seed-mix', name: 'Seed mix, meadow', priceCents: 4_99 },
  // The payment provider declines amounts that end in .13.
  { productId: 'unlucky-clover', name: 'Clover with three leaves', priceCents: 13_13 },
  // The ERP has none of these.
  { productId: 'blue-rose', name: 'Blue rose', priceCents: 99_00 },
  // The ERP has a few.
  { productId: 'bonsai', name: 'Bonsai, 40 years', priceCents: 480_00 },
]
