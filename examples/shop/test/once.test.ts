import { sqlite } from '@banyan/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { once } from '../orders/once.ts'

let database: ReturnType<typeof sqlite>
let placed = 0
beforeEach(() => {
  database = sqlite(':memory:', { name: 'orders' })
  placed = 0
})
afterEach(() => database.close())

const CUSTOMER = '01890c0e-0000-7000-8000-000000000000'
const place = (key: string, customerId = CUSTOMER, body: unknown = 'the items') =>
  database.transaction((tx) => once(tx, { customerId, key }, body, async () => ++placed))

describe('an order is placed once for each key of a customer', () => {
  it.each([1, 36, 218, 219, 255])('with a key of %i characters', async (length) => {
    const key = 'k'.repeat(length)
    expect(await place(key)).toBe(1)
    expect(await place(key)).toBe(1)
    await expect(place(key, CUSTOMER, 'other items')).rejects.toMatchObject({ code: 'ERR_KEY_REUSED' })
    expect(await place(`x${key.slice(1)}`)).toBe(2)
    expect(await place(key, CUSTOMER.replace('0189', '018a'))).toBe(3)
  })
})
