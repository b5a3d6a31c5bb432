import { api } from '@banyan/core'

/** Two services, each of which can ask the other for its process id. */
export const pingApi = api('ping', {
  operations: { pid: { method: 'GET', path: '/pid', response: anything() }, both: { method: 'GET', path: '/both', response: anything() } },
})
export const pongApi = api('pong', { operations: { pid: { method: 'GET', path: '/pid', response: anything() } } })

function anything() {
  return {
    '~standard': {
      version: 1 as const,
      vendor: 'toy',
      validate: (value: unknown) => ({ value: value as Record<string, unknown> }),
    },
  }
}
