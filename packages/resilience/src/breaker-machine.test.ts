import { systemWorld } from '@banyan/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { breakerMachine, type Ticket } from './breaker-machine.ts'
import type { CircuitBreakerOptions } from './breaker-options.ts'
import type { BreakerLimits, Verdict } from './breaker-state.ts'

const SLICES = 5

interface ModelCall {
  readonly phase: number
  readonly startedAt: number
  fate: 'flying' | 'good' | 'bad' | 'void'
}

/** The breaker as one would write it without a thought of speed: it keeps every outcome and counts anew each time. */
function model(options: CircuitBreakerOptions, limits: BreakerLimits) {
  let phase = 0
  let name: 'closed' | 'open' | 'half-open' | 'forced-open' | 'disabled' = 'closed'
  let openings = 0
  let until = 0
  let log: { at: number; failed: boolean; slow: boolean }[] = []
  let probes: ModelCall[] = []
  let lastAt = 0

  function go(to: typeof name, now: number): void {
    phase += 1
    name = to
    if (to === 'closed') {
      log = []
      openings = 0
    }
    if (to === 'half-open') probes = []
    if (to === 'open') {
      openings += 1
      until = now + Math.min(limits.maxCoolDownMs, limits.coolDownMs * limits.coolDownFactor ** (openings - 1))
    }
  }
  function decide(now: number): void {
    if (name !== 'half-open') return
    const hopeful = limits.probesAllowed - probes.filter(({ fate }) => fate === 'bad').length
    if (probes.filter(({ fate }) => fate === 'good').length >= limits.probesNeeded) go('closed', now)
    else if (hopeful < limits.probesNeeded) go('open', now)
  }
  function tick(now: number): void {
    for (;;) {
      const overdue = probes.find(({ fate, startedAt }) => fate === 'flying' && startedAt + limits.probeMaxWaitMs <= now)
      if (name === 'open' && now >= until) go('half-open', now)
      else if (name === 'half-open' && overdue) {
        overdue.fate = 'bad'
        decide(overdue.startedAt + limits.probeMaxWaitMs)
      } else return
    }
  }
  function inWindow(now: number) {
    const { window } = options
    if (!window) return log
    if ('calls' in window) return log.slice(-window.calls)
    const slice = (at: number) => Math.floor(at / (window.timeMs / SLICES))
    return log.filter(({ at }) => slice(at) > slice(now) - SLICES)
  }
  function counts(now: number) {
    const seen = inWindow(now)
    const consecutive = seen.length - (seen.findLastIndex(({ failed }) => !failed) + 1)
    return {
      calls: seen.length,
      failures: seen.filter(({ failed }) => failed).length,
      slow: seen.filter(({ slow }) => slow).length,
      consecutive,
    }
  }
  function trips(now: number): boolean {
    const { calls, failures, slow, consecutive } = counts(now)
    if (options.failures !== undefined && consecutive >= options.failures) return true
    if (!options.window || calls < limits.minimumCalls) return false
    return failures / calls >= limits.failureRate || slow / calls >= limits.slowRate
  }
  return {
    counts,
    state(now: number) {
      tick(now)
      return name
    },
    command(to: 'forced-open' | 'disabled' | 'closed', now: number) {
      tick(now)
      go(to, now)
    },
    admit(now: number): ModelCall | undefined {
      tick(now)
      const taken = probes.filter(({ fate }) => fate !== 'void').length
      const open = name === 'closed' || name === 'disabled' || (name === 'half-open' && taken < limits.probesAllowed)
      if (!open) return undefined
      const call: ModelCall = { phase, startedAt: now, fate: 'flying' }
      if (name === 'half-open') probes.push(call)
      return call
    },
    settle(call: ModelCall, verdict: Verdict, now: number) {
      tick(now)
      if (call.phase !== phase || call.fate !== 'flying') return
      const slow = options.slow !== undefined && now - call.startedAt > options.slow.overMs
      if (name === 'half-open') {
        call.fate = verdict === 'nothing' ? 'void' : verdict === 'failure' || slow ? 'bad' : 'good'
        return decide(now)
      }
      if (name !== 'closed' || verdict === 'nothing') return
      if (call.startedAt - lastAt > (options.forgetAfterMs ?? 300_000)) log = []
      lastAt = now
      log.push({ at: now, failed: verdict === 'failure', slow })
      if (trips(now)) go('open', now)
    },
  }
}

const rates = fc.record({
  minimumCalls: fc.integer({ min: 1, max: 4 }),
  failureRate: fc.constantFrom(0.25, 0.5, 1),
  slow: fc.option(fc.constant({ overMs: 20, rate: 0.5 }), { nil: undefined }),
})
const modes: fc.Arbitrary<CircuitBreakerOptions> = fc.oneof(
  fc.integer({ min: 1, max: 4 }).map((failures) => ({ failures })),
  fc.tuple(rates, fc.integer({ min: 4, max: 8 })).map(([rate, calls]) => ({ ...rate, window: { calls } }) as CircuitBreakerOptions),
  rates.map((rate) => ({ ...rate, failures: 3, window: { timeMs: 100, slices: SLICES } }) as CircuitBreakerOptions),
)
const recovery = fc.record({
  coolDownMs: fc.constantFrom(30, 70),
  coolDownGrowth: fc.constantFrom({ factor: 1, maxMs: 70 }, { factor: 2, maxMs: 200 }),
  probes: fc.constantFrom({ needed: 1, maxWaitMs: 50 }, { allowed: 3, needed: 2, maxWaitMs: 50 }, { allowed: 4, needed: 1, maxWaitMs: 20 }),
  forgetAfterMs: fc.constantFrom(60, 300_000),
})
const step = fc.record({
  waitMs: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 30 }) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 300 }) }),
  act: fc.oneof(
    { weight: 10, arbitrary: fc.constant('call' as const) },
    { weight: 10, arbitrary: fc.constantFrom('success', 'failure', 'failure', 'nothing') },
    { weight: 1, arbitrary: fc.constantFrom('force-open', 'disable', 'reset') },
  ),
  pick: fc.nat({ max: 50 }),
})

test('agrees with a model that keeps every outcome', () => {
  fc.assert(
    fc.property(modes, recovery, fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), (mode, rest, steps) => {
      let now = 0
      const options = { ...mode, ...rest, world: { ...systemWorld, monotonic: () => now, now: () => now } }
      const machine = breakerMachine(options, () => {})
      const naive = model(options, machine.limits())
      const flying: { ticket: Ticket; call: ModelCall }[] = []
      for (const { waitMs, act, pick } of steps) {
        now += waitMs
        if (act === 'call') {
          const ticket = machine.admit()
          const call = naive.admit(now)
          expect(ticket !== undefined).toBe(call !== undefined)
          if (ticket && call) flying.push({ ticket, call })
        } else if (act === 'success' || act === 'failure' || act === 'nothing') {
          const [ended] = flying.splice(pick % Math.max(1, flying.length), 1)
          if (ended) {
            machine.settle(ended.ticket, act)
            naive.settle(ended.call, act, now)
          }
        } else if (act === 'force-open') {
          machine.command({ type: 'force-open', why: undefined })
          naive.command('forced-open', now)
        } else {
          machine.command({ type: act as 'disable' | 'reset' })
          naive.command(act === 'disable' ? 'disabled' : 'closed', now)
        }
        expect(machine.state().kind).toBe(naive.state(now))
        if (machine.state().kind === 'closed' && mode.window) expect(machine.counts()).toEqual(naive.counts(now))
      }
    }),
    { numRuns: 500 },
  )
})
