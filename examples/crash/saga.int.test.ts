import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ENGINES, type Engine } from './engine.ts'
import { saga } from './saga/scenario.ts'
import { startEngine } from './start-engine.ts'
import { after, at, brokenTrial } from './test-trial.ts'
import { runTrial } from './trial.ts'

const NOTHING = { lost: [], twice: [], inverted: [], 'in limbo': [], 'not undone': [], orphans: [], 'ended by themselves': [] }
const scenario = saga

describe.each(ENGINES)('sagas under kill -9, on %s', (name) => {
  let engine: Engine
  beforeAll(async () => {
    engine = await startEngine(name)
  })
  afterAll(() => engine.stop())

  it('end completed or compensated, with a rival of the same name and one of another', { timeout: 120_000 }, async () => {
    const results = await Promise.all([10, 11].map((seed) => runTrial({ seed, scenario, engine })))
    for (const result of results) expect(result).toMatchObject({ done: true, failed: false, faults: NOTHING })
  })

  it('do so when a worker sleeps longer than its lease and wakes up in the middle of a write', { timeout: 120_000 }, async () => {
    const sleeps = { kind: 'pause', forMs: 1_400 } as const
    const plan = [at('orchestrator', 'before-advance', 3, sleeps), at('rival', 'before-commit', 1, sleeps), at('stock', 'before-commit', 3)]
    const result = await runTrial({ seed: 7, scenario, engine, plan })
    expect(result).toMatchObject({ done: true, failed: false, faults: NOTHING, pauses: 2, kills: 1 })
  })
})

describe('the checker', () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await startEngine('sqlite')
  })
  afterAll(() => engine.stop())

  it('finds a participant without tombstones, in one of a few trials', { timeout: 120_000 }, async () => {
    const plan = [after('rival', 3_000)]
    // Whether a call comes after its undo is up to the machine; with the first of these seeds nobody answers in time for two of three orders.
    const found: string[] = []
    for (let seed = 44; seed < 50 && found.length === 0; seed += 1) {
      const { faults } = await brokenTrial({ seed, scenario, engine, plan, broken: 'tombstone', timeoutMs: 15_000 })
      found.push(...(faults['not undone'] ?? []))
    }
    expect(found.length).toBeGreaterThan(0)
  })

  it('finds a worker that writes whoever owns the saga, in one of a few trials', { timeout: 120_000 }, async () => {
    const sleeps = { kind: 'pause', forMs: 1_700 } as const
    const plan = [at('orchestrator', 'before-advance', 3, sleeps), at('orchestrator', 'before-advance', 7, sleeps)]
    // Whether the sleeper and the one that took over write to the same saga is up to the machine: a trial may pass by luck.
    const found: unknown[] = []
    for (let seed = 7; seed < 15 && found.length === 0; seed += 1) {
      const { faults } = await brokenTrial({ seed, scenario, engine, plan, broken: 'fence', timeoutMs: 8_000 })
      found.push(...(faults['in limbo'] ?? []), ...(faults.twice ?? []), ...(faults['not undone'] ?? []))
    }
    expect(found.length).toBeGreaterThan(0)
  })
})
