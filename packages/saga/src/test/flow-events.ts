import { type EventType, event, type Schema } from '@banyan/core'
import { type Flow, flow, repeated } from '../flow.ts'
import type { SeenEvent } from '../flow-state.ts'

export interface Order {
  id: string
  by?: string
}

const schema: Schema<Order> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    // The test's own events: nothing else is published.
    validate: (value) => ({ value: value as Order }),
  },
}

function orderEvent<const Name extends string>(name: Name): EventType<Name, Schema<Order>> {
  return event(name, { schema, key: ({ id }) => id })
}

export const placed: EventType<'placed', Schema<Order>> = orderEvent('placed')
export const reserved: EventType<'reserved', Schema<Order>> = orderEvent('reserved')
export const short: EventType<'short', Schema<Order>> = orderEvent('short')
export const checked: EventType<'checked', Schema<Order>> = orderEvent('checked')
export const scanned: EventType<'scanned', Schema<Order>> = orderEvent('scanned')
export const paid: EventType<'paid', Schema<Order>> = orderEvent('paid')
export const shipped: EventType<'shipped', Schema<Order>> = orderEvent('shipped')
export const collected: EventType<'collected', Schema<Order>> = orderEvent('collected')
export const rejected: EventType<'rejected', Schema<Order>> = orderEvent('rejected')
export const cancelled: EventType<'cancelled', Schema<Order>> = orderEvent('cancelled')

export const MINUTE = 60_000

/** A flow with everything in it. */
export const checkout: Flow = flow('checkout', { version: 1 })
  .starts(placed, { where: ({ by }) => by !== 'saga' })
  .then(reserved)
  .otherwise(short)
  .maybe(checked, repeated(scanned))
  .then(paid)
  .ends([shipped, collected], rejected, cancelled)
  .withinMs(5 * MINUTE)

/** Events of these types, each the cause of the next, a second apart. */
export function chain(types: readonly string[], at: number = 1_000_000): Omit<SeenEvent, 'seenAt'>[] {
  return types.map((type, index) => ({
    id: `${type}-${index}`,
    type,
    time: at + index * 1_000,
    cause: index === 0 ? 'the request' : `${types[index - 1]}-${index - 1}`,
  }))
}
