import type { Instance } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hosts, queueing, steady } from './balance-host.ts'
import { type BalanceSimulationOptions, type SimulatedPicker, type SimulatedSite, simulateBalance } from './balance-simulation.ts'

/** In turn over what the registry lists; tells what it heard. */
function turns({ registry, service }: SimulatedSite): SimulatedPicker & { heard: string[] } {
  const heard: string[] = []
  let instances: readonly Instance[] = []
  let turn = 0
  const watch = registry.watch(service, (snapshot) => {
    instances = snapshot.instances
  })
  return {
    heard,
    stop: () => watch.stop(),
    pick(exclude) {
      for (const _ of instances) {
        turn += 1
        const instance = instances[turn % instances.length]
        if (instance && !exclude?.has(instance.id))
          return { instance, done: ({ ok, latencyMs }) => void heard.push(`${instance.id} ${ok} ${latencyMs}`) }
      }
      return undefined
    },
  }
}

const simple: Omit<BalanceSimulationOptions, 'picker'> = {
  hosts: hosts(4, () => ({ answer: steady({ latencyMs: 10, spread: 0 }) })),
  callsPerSecond: 100,
  durationMs: 10_000,
}

test('calls come at their rate, are answered, and told to the picker', async () => {
  let made: ReturnType<typeof turns> | undefined
  const report = await simulateBalance({
    ...simple,
    picker: (site) => {
      made = turns(site)
      return made
    },
  })
  expect(report.calls).toBeGreaterThan(900)
  expect(report.calls).toBeLessThan(1_100)
  expect(report).toMatchObject({ attempts: report.calls, errors: 0, errorShare: 0 })
  expect(report.latencyMs.p99).toBeCloseTo(10)
  expect(made?.heard).toHaveLength(report.calls)
  expect(made?.heard[0]).toBe('host-1 true 10')
})

test('a seed repeats a run, another one does not', async () => {
  const run = (seed: number) => simulateBalance({ ...simple, seed, picker: turns })
  expect(await run(5)).toEqual(await run(5))
  expect((await run(5)).calls).not.toBe((await run(6)).calls)
})

test('hosts come and go', async () => {
  const report = await simulateBalance({
    ...simple,
    picker: turns,
    hosts: hosts(2, (index) => ({
      answer: steady({ latencyMs: 1 }),
      ...(index === 1 && { joinsAtMs: 3_000, leavesAtMs: 6_000 }),
    })),
  })
  expect(report.hosts[1]?.perSecond.map((calls) => calls > 0)).toEqual([false, false, false, true, true, true])
})

test('what fails is tried elsewhere, as often as attempts and budget allow; the warm-up is not counted', async () => {
  const failing = hosts(3, (index) => ({ answer: steady({ latencyMs: 10, failing: index === 0 ? 1 : 0 }) }))
  const twice = await simulateBalance({ ...simple, hosts: failing, attempts: 2, warmUpMs: 5_000, picker: turns })
  expect(twice.errors).toBe(0)
  expect(twice.calls).toBeLessThan(600)
  expect(twice.attempts - twice.calls).toBe(twice.hosts[0]?.failed)
  const broke = await simulateBalance({
    ...simple,
    hosts: failing,
    attempts: 2,
    picker: turns,
    budget: () => ({ deposit() {}, withdraw: () => false }),
  })
  expect([broke.attempts, broke.errors]).toEqual([broke.calls, broke.hosts[0]?.failed])
})

test('a host with more calls than it can do makes them wait in line', () => {
  const answer = queueing({ latencyMs: 10, parallel: 2 })
  const call = (atMs: number) => answer({ atMs, inFlight: 0, random: () => 0.5 }).latencyMs
  expect([call(0), call(0), call(0), call(5), call(100)]).toEqual([10, 10, 20, 15, 10])
})

test('whatever the hosts, every attempt is of one host, and errors are calls whose last attempt failed', async () => {
  const host = fc.record({ latencyMs: fc.integer({ min: 1, max: 200 }), failing: fc.constantFrom(0, 0.3, 1) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(host, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(),
      async (each, attempts, seed) => {
        const all = each.map((options, index) => ({ id: `h${index}`, answer: steady(options) }))
        const report = await simulateBalance({ ...simple, durationMs: 500, hosts: all, attempts, seed, picker: turns })
        const sum = (of: 'attempts' | 'failed') => report.hosts.reduce((total, entry) => total + entry[of], 0)
        expect(sum('attempts')).toBe(report.attempts)
        expect(report.attempts - sum('failed')).toBe(report.calls - report.errors)
      },
    ),
    { numRuns: 30 },
  )
})

test('refuses options out of range', async () => {
  const refused = (options: Partial<BalanceSimulationOptions>, message: string) =>
    expect(simulateBalance({ ...simple, picker: turns, ...options })).rejects.toThrow(message)
  await refused({ callers: 0 }, '"callers" is 0, wanted 1 to 10000')
  await refused({ callsPerSecond: 0 }, '"callsPerSecond" is 0')
  await refused({ warmUpMs: 10_001 }, '"warmUpMs" is 10001, wanted 0 to 10000')
  await refused({ hosts: [...simple.hosts, ...simple.hosts] }, 'the same id')
})
