import type { CrashDeed } from '@banyan/testing/crash'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ENGINES, type Engine } from './engine.ts'
import { messaging } from './messaging/scenario.ts'
import { startEngine } from './start-engine.ts'
import { at, brokenTrial } from './test-trial.ts'
import { runTrial } from './trial.ts'

const NOTHING = { lost: [], twice: [], inverted: [], invented: [], 'in limbo': [], 'ended by themselves': [] }
const scenario = messaging

describe.each(ENGINES)('the shop and its book under kill -9, on %s', (name) => {
  let engine: Engine
  beforeAll(async () => {
    engine = await startEngine(name)
  })
  afterAll(() => engine.stop())

  it('bring every sale to the book once and in order, whoever dies or sleeps', { timeout: 90_000 }, async () => {
    const results = await Promise.all([3, 4].map((seed) => runTrial({ seed, scenario, engine })))
    for (const result of results) expect(result).toMatchObject({ done: true, failed: false, faults: NOTHING })
    for (const { kills, strikes, pauses } of results) expect([kills + strikes, pauses]).toEqual([3, 1])
  })

  it('do so when all that have the bus open die at once, and when the server dies in mid-commit', { timeout: 90_000 }, async () => {
    const bus: CrashDeed = { kind: 'strike', outsider: 'bus' }
    const database: CrashDeed = name === 'postgres' ? { kind: 'strike', outsider: 'database' } : { kind: 'kill' }
    const plan = [
      at('relay', 'after-publish', 2, bus),
      at('consumer', 'before-commit', 3, database),
      at('producer', 'before-commit', 3, database),
    ]
    const result = await runTrial({ seed: 1, scenario, engine, plan })
    expect(result).toMatchObject({ done: true, failed: false, faults: NOTHING, strikes: name === 'postgres' ? 3 : 1 })
  })
})

describe('the checker', () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await startEngine('sqlite')
  })
  afterAll(() => engine.stop())

  it('finds an inbox row that is written outside the transaction', async () => {
    // Between the effect and the note of it.
    const plan = [at('consumer', 'after-effect', 2), at('consumer', 'after-commit', 5), at('consumer', 'after-commit', 5)]
    const { faults } = await brokenTrial({ seed: 1, scenario, engine, plan, broken: 'inbox' })
    expect(faults.twice?.length).toBeGreaterThan(0)
  })

  it('finds events that are published after the commit', async () => {
    // The first commit of a sale counts it, the second one would publish it.
    const { faults } = await brokenTrial({ seed: 1, scenario, engine, plan: [at('producer', 'after-commit', 1)], broken: 'outbox' })
    expect(faults.lost?.length).toBeGreaterThan(0)
  })
})
