import { isRefusal, manualWorld } from '@banyan/core'
import { expect, test } from 'vitest'
import { adaptiveLimit } from './adaptive-limit.ts'
import { circuitBreaker } from './circuit-breaker.ts'
import { onResilienceEvent } from './events.ts'
import { isFailure, isRetryable, isShed, isTimeout, retryAfterOf, wasNeverSent } from './failure.ts'
import { fallback } from './fallback.ts'
import { policy } from './policy.ts'
import { retry } from './retry.ts'

/** Throws at each question that is asked of it, even at whether it is an error. */
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** An error whose fields cannot be read. */
function unreadable(): Error {
  const get = () => {
    throw new Error('not to be read')
  }
  const fields = ['refused', 'status', 'retryAfterMs', 'code', 'name', 'cause']
  return Object.defineProperties(new Error('unreadable'), Object.fromEntries(fields.map((name) => [name, { get }])))
}

test.each([
  ['a revoked proxy', revoked],
  ['an error that cannot be read', unreadable],
])('%s is a failure like any other, and asking throws nothing', (_what, create) => {
  const error = create()
  expect([isFailure({ ok: false, error }), isRetryable(error)]).toEqual([true, true])
  expect([isRefusal(error), isShed(error), isTimeout(error), wasNeverSent(error)]).toEqual([false, false, false, false])
  expect(retryAfterOf(error)).toBeUndefined()
})

test.each([
  ['a revoked proxy', revoked],
  ['an error that cannot be read', unreadable],
])('a call that rejects with %s ends with it, behind each layer and with listeners', async (_what, create) => {
  const world = manualWorld()
  const error = create()
  const stop = onResilienceEvent('call', () => {})
  const breaker = circuitBreaker({ failures: 2, world })
  const stock = policy('stock', retry({ attempts: 2, world }), adaptiveLimit({ world }), breaker)
  const outcome = stock.outcome(() => Promise.reject(error))
  await world.advance(10_000)
  const given = await outcome
  stop()
  expect(given.ok === false && Object.is(given.error, error)).toBe(true)
  expect([given.attempts, breaker.state]).toEqual([2, 'open'])
})

test.each([
  ['a revoked proxy', revoked],
  ['an error that cannot be read', unreadable],
])('a caller who aborts with %s ends the call, and nothing is left behind', async (_what, create) => {
  const world = manualWorld()
  const reason = create()
  const limit = adaptiveLimit({ world })
  const breaker = circuitBreaker({ failures: 1, coolDownMs: 1_000, world })
  const stock = policy('stock', fallback('instead'), limit, breaker)
  const controller = new AbortController()
  const { promise, resolve } = Promise.withResolvers<string>()
  const outcome = stock.outcome(() => promise, { signal: controller.signal })
  controller.abort(reason)
  const given = await outcome
  resolve('too late')
  await world.advance(0)
  expect(given.ok === false && Object.is(given.error, reason)).toBe(true)
  expect([limit.active, breaker.state]).toEqual([0, 'closed'])
})

test('a host that becomes unreachable proves that nothing was sent only where the connection was still being made', () => {
  const unreachable = (syscall?: string) =>
    Object.assign(new Error(`${syscall} EHOSTUNREACH`), { code: 'EHOSTUNREACH', ...(syscall && { syscall }) })
  expect(['connect', 'read', 'write', undefined].map((syscall) => wasNeverSent(unreachable(syscall)))).toEqual([true, false, false, true])
  const hidden = new TypeError('fetch failed', {
    cause: Object.assign(new Error('read ENETUNREACH'), { code: 'ENETUNREACH', syscall: 'read' }),
  })
  expect(wasNeverSent(hidden)).toBe(false)
})
