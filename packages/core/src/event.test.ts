import { expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import type { Envelope } from './envelope.ts'
import { checkEventData, type EventData, type EventInput, event, readEvent } from './event.ts'

const orderPlaced = event('order.placed', {
  version: 3,
  schema: z.object({ orderId: z.string(), total: z.number().positive(), currency: z.string(), note: z.string().default('') }),
  key: (data) => data.orderId,
  upcast: {
    1: (data) => ({ ...(data as object), currency: 'EUR' }),
    2: (data) => {
      const { cents, ...rest } = data as { cents: number }
      return { ...rest, total: cents / 100 }
    },
  },
})

const sent = (version: number, data: unknown): Envelope => ({
  specversion: '1.0',
  id: 'e1',
  source: 'orders',
  type: 'order.placed',
  subject: 'o1',
  time: '2026-01-01T00:00:00Z',
  datacontenttype: 'application/json',
  dataschema: `order.placed/${version}`,
  data,
})

test('what is published is typed by what the schema accepts, what is consumed by what it gives', () => {
  expectTypeOf<EventInput<typeof orderPlaced>>().toEqualTypeOf<{
    orderId: string
    total: number
    currency: string
    note?: string | undefined
  }>()
  expectTypeOf<EventData<typeof orderPlaced>>().toEqualTypeOf<{ orderId: string; total: number; currency: string; note: string }>()
  expectTypeOf(orderPlaced.name).toEqualTypeOf<'order.placed'>()
})

test('a renamed field breaks those who use it', () => {
  const renamed = event('order.placed', { schema: z.object({ id: z.string() }), key: (data) => data.id })
  const read = (data: EventData<typeof renamed>) => {
    // @ts-expect-error: it is called id now
    return data.orderId
  }
  expect(read({ id: 'o1' })).toBeUndefined()
  // @ts-expect-error: it is called id now
  event('order.placed', { schema: z.object({ id: z.string() }), key: (data) => data.orderId })
})

test('the data of the version at hand is checked and gets its defaults', async () => {
  expect(await readEvent(orderPlaced, sent(3, { orderId: 'o1', total: 12, currency: 'EUR' }))).toEqual({
    orderId: 'o1',
    total: 12,
    currency: 'EUR',
    note: '',
  })
})

test('older data goes through each upcast in turn', async () => {
  expect(await readEvent(orderPlaced, sent(1, { orderId: 'o1', cents: 1_250 }))).toMatchObject({ total: 12.5, currency: 'EUR' })
  expect(await readEvent(orderPlaced, sent(2, { orderId: 'o1', cents: 100, currency: 'SEK' }))).toMatchObject({ total: 1, currency: 'SEK' })
})

test('a newer version than this program knows is refused, and not guessed at', async () => {
  await expect(readEvent(orderPlaced, sent(4, { orderId: 'o1' }))).rejects.toMatchObject({
    code: 'ERR_EVENT_VERSION_UNKNOWN',
    message: 'event "order.placed" came in version 4, this consumer knows up to 3; deploy the consumer first, then redrive',
  })
})

test('data that does not fit is refused, field by field', async () => {
  const bad = readEvent(orderPlaced, sent(3, { orderId: 7, total: -1, currency: 'EUR' }))
  await expect(bad).rejects.toMatchObject({ code: 'ERR_EVENT_INVALID' })
  await expect(bad).rejects.toThrow(/^the data of event "order.placed\/3" does not fit its schema: orderId: .+; total: .+/)
  await expect(checkEventData(orderPlaced, null)).rejects.toMatchObject({ code: 'ERR_EVENT_INVALID' })
})

test('an upcast that is missing or throws is told', async () => {
  const gap = event('order.placed', { version: 3, schema: z.object({}), key: () => 'k', upcast: { 1: (data) => data } })
  await expect(readEvent(gap, sent(1, {}))).rejects.toMatchObject({
    code: 'ERR_EVENT_UPCAST_MISSING',
    message: 'event "order.placed" came in version 1 and has no upcast from 2 to 3',
  })
  await expect(readEvent(orderPlaced, sent(2, null))).rejects.toMatchObject({
    code: 'ERR_EVENT_UPCAST_FAILED',
    cause: expect.any(TypeError),
  })
})

test('an upcast may take its time, and one that fails then is told as well', async () => {
  const upcasts = (first: (data: unknown) => unknown) =>
    event('order.placed', {
      version: 3,
      schema: z.object({ total: z.number(), currency: z.string() }),
      key: () => 'k',
      upcast: { 1: first, 2: (data) => ({ ...(data as object), currency: 'EUR' }) },
    })
  const slow = upcasts(async () => ({ total: 12 }))
  expect(await readEvent(slow, sent(1, {}))).toEqual({ total: 12, currency: 'EUR' })
  const down = new Error('the rates are not to be had')
  const failing = upcasts(async () => {
    throw down
  })
  await expect(readEvent(failing, sent(1, {}))).rejects.toMatchObject({ code: 'ERR_EVENT_UPCAST_FAILED', cause: down })
})

test.each(['', 'Order.placed', 'order..placed', '.order', 'order.', 'order placed', 'order_placed'])('the name "%s" is refused', (name) => {
  expect(() => event(name, { schema: z.object({}), key: () => 'k' })).toThrow(`cannot declare event "${name}"`)
})

test.each([0, -1, 1.5, Number.NaN])('version %d is refused', (version) => {
  expect(() => event('order.placed', { version, schema: z.object({}), key: () => 'k' })).toThrow(RangeError)
})
