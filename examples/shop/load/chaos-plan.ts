/** Who is killed. `relay` is whichever process moves a service's outbox at that moment, drawn by the plan. */
export type Role = 'orders' | 'inventory' | 'payments' | 'shipping' | 'relay' | 'gateway'

/** One `kill -9`: after so many orders have been sent, a little later, this process. */
export interface Kill {
  readonly afterOrders: number
  /** Milliseconds after that order, so that kills fall at any point of an order's way. */
  readonly delayMs: number
  readonly role: Role
  readonly process: string
}

const ROLES: readonly Role[] = ['orders', 'inventory', 'payments', 'shipping', 'relay', 'gateway']
const RELAY_OWNERS = ['users', 'catalog', 'orders', 'inventory', 'payments', 'shipping', 'notifications'] as const

/** The kills of a run, spread evenly over its orders; every role is hit. The same seed gives the same plan. */
export function chaosPlan(options: { orders: number; kills: number; seed: number }): readonly Kill[] {
  const { orders, kills, seed } = options
  const random = generator(seed)
  const order = shuffle(
    Array.from({ length: kills }, (_, i) => ROLES[i % ROLES.length] ?? 'orders'),
    random,
  )
  return order.map((role, i) => ({
    afterOrders: Math.floor(((i + 0.2 + random() * 0.6) / kills) * orders),
    delayMs: Math.floor(random() * 120),
    role,
    process: role === 'relay' ? (RELAY_OWNERS[Math.floor(random() * RELAY_OWNERS.length)] ?? 'orders') : role,
  }))
}

/** Numbers in [0, 1) from a seed: a linear congruential generator (Knuth's MMIX constants), its upper bits. */
export function generator(seed: number): () => number {
  let state = BigInt(seed) ^ 0x9e3779b97f4a7c15n
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number(state >> 32n) / 4_294_967_296
  }
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
