import { api, type Schema } from '@banyan/core'

const pid = { method: 'GET', path: '/pid', response: anything<{ pid: number }>() } as const

/** Two services that tell their process ids; `ping` asks `pong` for its own. */
export const pingApi = api('ping', {
  operations: { pid, both: { method: 'GET', path: '/both', response: anything<{ ping: number; pong: number }>() } },
})
export const pongApi = api('pong', { operations: { pid } })

function anything<T>(): Schema<T> {
  // The toy trusts itself: whatever comes is a T.
  return { '~standard': { version: 1, vendor: 'toy', validate: (value) => ({ value: value as T }) } }
}
