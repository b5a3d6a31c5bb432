import { type Health, manualWorld } from '@banyan/core'
import { expect, test, vi } from 'vitest'
import { healthChecks } from './health.ts'

test('all healthy is ready; one that is not is named with its detail', async () => {
  const checks = healthChecks({ world: manualWorld() })
  expect(await checks.report()).toEqual({ status: 'ready', checks: {} })
  checks.add('relay', async () => ({ healthy: true }))
  checks.add('bus', async () => ({ healthy: false, detail: 'no connection' }))
  expect(await checks.report()).toEqual({
    status: 'not_ready',
    checks: { relay: { healthy: true }, bus: { healthy: false, detail: 'no connection' } },
  })
})

test('a check that throws is unhealthy with what it said', async () => {
  const checks = healthChecks({ world: manualWorld() })
  checks.add('disk', () => Promise.reject(new Error('full')))
  expect((await checks.report()).checks).toEqual({ disk: { healthy: false, detail: 'full' } })
})

test('a check that hangs is unhealthy after its time, and is not asked again before it answers', async () => {
  const world = manualWorld()
  const checks = healthChecks({ world, timeoutMs: 1_000 })
  let answer: (health: Health) => void = () => {}
  const check = vi.fn(
    () =>
      new Promise<Health>((resolve) => {
        answer = resolve
      }),
  )
  checks.add('bus', check)
  for (let i = 0; i < 3; i += 1) {
    const report = checks.report()
    await world.advance(1_000)
    expect((await report).checks).toEqual({ bus: { healthy: false, detail: 'no answer within 1000 ms' } })
  }
  expect(check).toHaveBeenCalledTimes(1)
  answer({ healthy: true })
  await world.advance(1_000)
  const report = checks.report()
  await world.advance(0)
  answer({ healthy: true })
  expect((await report).status).toBe('ready')
  expect(check).toHaveBeenCalledTimes(2)
  expect(world.pendingTimers()).toBe(0)
})

test('many askers within half a second cost one check', async () => {
  const world = manualWorld()
  const checks = healthChecks({ world })
  const check = vi.fn(async () => ({ healthy: true }))
  checks.add('bus', check)
  await Promise.all([checks.report(), checks.report()])
  await world.advance(499)
  await checks.report()
  expect(check).toHaveBeenCalledTimes(1)
  await world.advance(1)
  await checks.report()
  expect(check).toHaveBeenCalledTimes(2)
})
