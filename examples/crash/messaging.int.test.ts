import { rmSync } from 'node:fs'
import type { CrashDeed, Mishap } from '@banyan/testing/crash'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Engine, startEngine } from './engine.ts'
import { messaging } from './messaging/scenario.ts'
import { runTrial, type TrialOptions, type TrialResult } from './trial.ts'

let engine: Engine

beforeAll(async () => {
  engine = await startEngine('sqlite')
})
afterAll(() => engine.stop())

async function trial(options: Partial<TrialOptions>): Promise<TrialResult> {
  const result = await runTrial({ seed: 1, scenario: messaging, engine, ...options })
  return result
}

function at(role: string, point: string, hit: number, deed: CrashDeed = { kind: 'kill' }): Mishap {
  return { role, when: { kind: 'point', point, hit, withinMs: 20_000 }, deed }
}

/** A trial in which something is wrong on purpose: its files are of no use to anybody. */
async function brokenTrial(broken: string, plan: readonly Mishap[]): Promise<TrialResult> {
  const result = await trial({ broken, plan, timeoutMs: 5_000 })
  if (result.folder) rmSync(result.folder, { recursive: true, force: true })
  return result
}

const NOTHING = { lost: [], twice: [], inverted: [], invented: [], 'in limbo': [] }

describe('the shop and its book under kill -9', () => {
  it('bring every sale to the book once and in order, whoever dies or sleeps', async () => {
    const results = await Promise.all([3, 4, 5].map((seed) => trial({ seed })))
    for (const result of results) expect(result).toMatchObject({ done: true, failed: false, faults: NOTHING })
    for (const { kills, strikes, pauses } of results) expect([kills + strikes, pauses]).toEqual([3, 1])
  })

  it('do so when all that have the bus open die at once', async () => {
    const strike: CrashDeed = { kind: 'strike', outsider: 'bus' }
    const result = await trial({ plan: [at('relay', 'after-publish', 2, strike), at('consumer', 'before-acknowledge', 3, strike)] })
    expect(result).toMatchObject({ done: true, failed: false, strikes: 2 })
  })

  it('are found out when the inbox row is written outside the transaction', async () => {
    // Between the effect and the note of it: the second commit of each message.
    const { faults } = await brokenTrial('inbox', [at('consumer', 'after-commit', 5), at('consumer', 'after-commit', 5)])
    expect(faults.twice?.length).toBeGreaterThan(0)
  })

  it('are found out when events are published after the commit', async () => {
    // The first commit of a sale counts it, the second one would publish it.
    const { faults } = await brokenTrial('outbox', [at('producer', 'after-commit', 1)])
    expect(faults.lost?.length).toBeGreaterThan(0)
  })
})
