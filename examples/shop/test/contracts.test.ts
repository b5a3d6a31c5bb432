import { expect, it } from 'vitest'
import { OrderItem } from '../orders/contract.ts'
import { usersApi } from '../users/contract.ts'

const account = { email: 'eve@example.com', password: 'long enough', name: 'Eve' }

// PostgreSQL has no text with a NUL in it.
it.each(['a\0', '\n', '\u007f'])('a text with a control character is refused by the contract: %j', (text) => {
  expect(OrderItem.safeParse({ productId: text, quantity: 1 }).success).toBe(false)
  expect(usersApi.operations.register.body.safeParse({ ...account, name: text }).success).toBe(false)
})

it.each(['seed-mix', 'Zoë Ångström', '樹', '🌳'])('a text in any writing is not: %s', (text) => {
  expect(OrderItem.safeParse({ productId: text, quantity: 1 }).success).toBe(true)
  expect(usersApi.operations.register.body.safeParse({ ...account, name: text }).success).toBe(true)
})
