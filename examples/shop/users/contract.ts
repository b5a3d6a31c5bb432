// What users promises to others. The only file of this service that they may import.
import { api, event } from '@banyan/core'
import { z } from 'zod'

export const User = z.object({ userId: z.string(), email: z.string(), name: z.string() })
export type User = z.infer<typeof User>

export const Credentials = z.strictObject({ email: z.email().max(200), password: z.string().min(1).max(200) })

/** Not every database stores control characters. */
const Name = z
  .string()
  .min(1)
  .max(100)
  .regex(/^\P{Cc}*$/u, 'wanted a text without control characters')

export const usersApi = api('users', {
  operations: {
    register: {
      method: 'POST',
      path: '/users',
      summary: 'Open an account',
      body: Credentials.extend({ name: Name, password: z.string().min(8).max(200) }),
      response: User,
      status: 201,
      refusals: ['email-taken'],
    },
    signIn: {
      method: 'POST',
      path: '/sessions',
      summary: 'Trade e-mail and password for a token',
      body: Credentials,
      response: z.object({ token: z.string(), userId: z.string(), expiresInSeconds: z.int() }),
      status: 201,
    },
    me: { method: 'GET', path: '/users/me', summary: 'Who the token belongs to', response: User },
    jwks: {
      method: 'GET',
      path: '/.well-known/jwks.json',
      summary: 'The public keys that tokens are signed with (RFC 7517)',
      response: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }),
    },
  },
})

export const userRegistered = event('user.registered', { version: 1, schema: User, key: (data) => data.userId })
