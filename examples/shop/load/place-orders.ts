import { setTimeout as pause } from 'node:timers/promises'
import { generator } from './chaos-plan.ts'
import { type OrderItem, type Shopper, signIn } from './shopper.ts'

export interface Load {
  /** Ids of all orders that were accepted. */
  readonly accepted: string[]
  /** What went wrong in a way that no client should see. */
  readonly complaints: string[]
}

export interface LoadPlan {
  readonly gatewayUrl: string
  readonly orders: number
  readonly seed: number
  /** How many orders a second at most; spreads them so that the kills fall between them. */
  readonly perSecond: number
  /** Told after each order that was sent. */
  readonly onSent: (sent: number) => void
}

const CUSTOMERS = ['ada@example.com', 'grace@example.com', 'alan@example.com']
const PARALLEL = 16

/** Places the orders as several customers would: most are good, some cannot be paid or filled, some are taken back, some sent twice. */
export async function placeOrders(plan: LoadPlan): Promise<Load> {
  const shoppers = await Promise.all(CUSTOMERS.map((email) => signIn(plan.gatewayUrl, email)))
  const random = generator(plan.seed + 1)
  const wishes = Array.from({ length: plan.orders }, (_, i) => wish(i, random))
  const load: Load = { accepted: [], complaints: [] }
  const started = performance.now()
  let next = 0
  const worker = async () => {
    while (next < wishes.length) {
      const i = next++
      const dueMs = (i / plan.perSecond) * 1000 - (performance.now() - started)
      if (dueMs > 0) await pause(dueMs)
      const shopper = shoppers[i % shoppers.length]
      const wanted = wishes[i]
      if (shopper && wanted) await fulfil(shopper, wanted, `${plan.seed}-${i}`, load)
      plan.onSent(i + 1)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  return load
}

interface Wish {
  items: OrderItem[]
  twice: boolean
  cancel: boolean
}

const GOOD = ['fig-tree', 'watering-can', 'secateurs', 'seed-mix']

function wish(i: number, random: () => number): Wish {
  const fate = random()
  const quantity = 1 + Math.floor(random() * 3)
  const product = GOOD[Math.floor(random() * GOOD.length)] ?? 'fig-tree'
  const extras = { twice: random() < 0.05, cancel: random() < 0.06 }
  if (fate < 0.1) return { items: [{ productId: 'unlucky-clover', quantity: 1 }], ...extras }
  if (fate < 0.16) return { items: [{ productId: 'blue-rose', quantity }], ...extras }
  if (fate < 0.24) return { items: [{ productId: 'bonsai', quantity }], ...extras }
  const other = GOOD[(i + 1) % GOOD.length] ?? 'seed-mix'
  return {
    items: [
      { productId: product, quantity },
      { productId: other, quantity: 1 },
    ],
    ...extras,
  }
}

async function fulfil(shopper: Shopper, { items, twice, cancel }: Wish, key: string, load: Load): Promise<void> {
  const answers = await Promise.all(Array.from({ length: twice ? 2 : 1 }, () => shopper.placeOrder(key, items)))
  for (const answer of answers) {
    if (answer.status !== 202) load.complaints.push(`order ${key}: answered ${answer.status} ${JSON.stringify(answer.body)}`)
  }
  const ids = new Set(answers.filter(({ status }) => status === 202).map(({ body }) => String(body.orderId)))
  if (ids.size > 1) load.complaints.push(`order ${key}: one key made two orders, ${[...ids].join(' and ')}`)
  load.accepted.push(...ids)
  const [orderId] = ids
  if (!cancel || !orderId) return
  const answer = await shopper.cancelOrder(orderId)
  if (answer.status !== 202 && answer.status !== 409) load.complaints.push(`cancelling ${orderId}: answered ${answer.status}`)
}
