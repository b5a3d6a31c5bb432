import { type EventType, event, type Schema } from '@banyan/core'
import { type Flow, flow } from '@banyan/saga'

const schema: Schema<{ id: string }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    // Nothing is ever published of these.
    validate: (value) => ({ value: value as { id: string } }),
  },
}
const orderCreated: EventType<'order.created', typeof schema> = event('order.created', { schema, key: ({ id }) => id })
export const orderShipped: EventType<'order.shipped', typeof schema> = event('order.shipped', { schema, key: ({ id }) => id })

export const checkout: Flow = flow('checkout', { version: 1 }).starts(orderCreated).ends(orderShipped).withinMs(1_000)
export default checkout
