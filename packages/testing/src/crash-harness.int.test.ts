import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { crashTrial } from './crash-harness.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-harness-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A program that writes down each step, with crash points in between. */
function program(name: string, body: string): string {
  const file = join(folder, `${name}.mjs`)
  const points = JSON.stringify(join(import.meta.dirname, 'crash-point.ts'))
  writeFileSync(
    file,
    `import { appendFileSync } from 'node:fs'
import { crashPoint, underHarness } from ${points}
underHarness()
const step = (text) => appendFileSync(${JSON.stringify(join(folder, 'log'))}, text + '\\n')
${body}`,
  )
  return file
}

const steps = () => readFileSync(join(folder, 'log'), 'utf8').trim().split('\n')

describe('crashTrial', () => {
  it('kills a process exactly at its point and starts it again', async () => {
    const counting = program(
      'counting',
      `step('start')
for (let n = 1; n <= 3; n += 1) { step('before ' + n); crashPoint('middle'); step('after ' + n) }
process.on('SIGTERM', () => { step('end'); process.exit(0) })
step('ready')`,
    )
    const trial = await crashTrial({
      roles: [{ name: 'counting', program: counting }],
      kills: [{ kind: 'point', role: 'counting', point: 'middle', hit: 2, withinMs: 20_000 }],
      isDone: async () => steps().includes('ready'),
    })
    expect(trial).toMatchObject({ done: true, kills: 1, atPoint: 1 })
    expect(steps()).toEqual([
      ...['start', 'before 1', 'after 1', 'before 2'],
      ...['start', 'before 1', 'after 1', 'before 2', 'after 2', 'before 3', 'after 3', 'ready', 'end'],
    ])
  })

  it('kills at a time a process that never comes to its point', async () => {
    const idle = program('idle', `step('start'); setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0))`)
    const trial = await crashTrial({
      roles: [{ name: 'idle', program: idle }],
      kills: [
        { kind: 'point', role: 'idle', point: 'nowhere', hit: 1, withinMs: 10 },
        { kind: 'time', role: 'idle', afterMs: 0 },
      ],
      isDone: async () => true,
    })
    expect(trial).toMatchObject({ done: true, kills: 2, atPoint: 0 })
  })

  it('says when the time is over before all is done', async () => {
    const idle = program('idle', `setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0))`)
    const trial = await crashTrial({ roles: [{ name: 'idle', program: idle }], kills: [], isDone: async () => false, timeoutMs: 300 })
    expect(trial.done).toBe(false)
  })

  it('rejects when a process ends by itself: that crash was not planned', async () => {
    const failing = program('failing', `process.exit(3)`)
    const other = program('idle', `setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0))`)
    const trial = crashTrial({
      roles: [
        { name: 'other', program: other },
        { name: 'failing', program: failing },
      ],
      kills: [],
      isDone: async () => false,
    })
    await expect(trial).rejects.toThrow('the "failing" process ended by itself: exit code 3')
  })
})
