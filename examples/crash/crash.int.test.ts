import { rmSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { POINTS, runTrial } from './trial.ts'

describe('the little system under kill -9', () => {
  it('brings every sale to the book once and in order', async () => {
    const result = await runTrial({ seed: 3, victims: Object.keys(POINTS), kills: 3, breakInbox: false })
    expect(result).toMatchObject({ done: true, kills: 3, faults: { lost: [], twice: [], inverted: [], invented: [] } })
  })

  it('is found out when the inbox row is written outside the transaction', async () => {
    // Between the effect and the note of it.
    const plan = [{ kind: 'point', role: 'consumer', point: 'after-commit', hit: 3, withinMs: 20_000 }] as const
    const { faults, folder } = await runTrial({ seed: 1, victims: ['consumer'], kills: 1, plan, breakInbox: true })
    if (folder) rmSync(folder, { recursive: true, force: true })
    expect(faults.twice.length).toBeGreaterThan(0)
  })
})
