import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { crashTrial, MOST_EXTENSIONS } from './crash-harness.ts'
import type { Mishap } from './crash-plan.ts'

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
const COUNTING = `step('start')
for (let n = 1; n <= 3; n += 1) { step('before ' + n); crashPoint('middle'); step('after ' + n) }
process.on('SIGTERM', () => { step('end'); process.exit(0) })
setInterval(() => {}, 1000)
step('ready')`
const IDLE = `step('start'); setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0))`
const atMiddle = (deed: Mishap['deed'], hit = 2): Mishap => ({
  role: 'counting',
  when: { kind: 'point', point: 'middle', hit, withinMs: 20_000 },
  deed,
})

describe('crashTrial', () => {
  it('kills a process exactly at its point and starts it again', async () => {
    const trial = await crashTrial({
      roles: [{ name: 'counting', program: program('counting', COUNTING) }],
      mishaps: [atMiddle({ kind: 'kill' })],
      isDone: async () => steps().includes('ready'),
    })
    expect(trial).toMatchObject({ done: true, kills: 1, atPoint: 1 })
    expect(steps()).toEqual([
      ...['start', 'before 1', 'after 1', 'before 2'],
      ...['start', 'before 1', 'after 1', 'before 2', 'after 2', 'before 3', 'after 3', 'ready', 'end'],
    ])
  })

  it('ends early when it is told to, with its processes', async () => {
    const end = new AbortController()
    const trial = crashTrial({
      roles: [{ name: 'counting', program: program('counting', COUNTING) }],
      mishaps: [atMiddle({ kind: 'pause', forMs: 60_000 })],
      isDone: async () => true,
      signal: end.signal,
    })
    await vi.waitFor(() => expect(steps()).toContain('before 2'), { timeout: 10_000 })
    end.abort()
    expect(await trial).toMatchObject({ done: false })
    expect(steps().at(-1)).not.toBe('ready')
  })

  it('ends the processes of a harness that is gone, without a word', async () => {
    const file = join(folder, 'harness.mjs')
    const harness = JSON.stringify(join(import.meta.dirname, 'crash-harness.ts'))
    const roles = JSON.stringify([{ name: 'idle', program: program('idle', IDLE) }])
    const late = { role: 'idle', when: { kind: 'time', afterMs: 60_000 }, deed: { kind: 'kill' } }
    writeFileSync(
      file,
      `import { crashTrial } from ${harness}
await crashTrial({ roles: ${roles}, mishaps: [${JSON.stringify(late)}], isDone: async () => true })`,
    )
    const child = spawn(process.execPath, [...process.execArgv, file], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (chunk) => {
      said += chunk
    })
    const closed = once(child, 'close')
    await vi.waitFor(() => expect(steps()).toEqual(['start']), { timeout: 10_000 })
    child.kill('SIGKILL')
    // When the last process has gone that may write there.
    await closed
    expect(said).toBe('')
  })

  it('ends a process that stands still when its harness is gone', async () => {
    const file = join(folder, 'harness.mjs')
    const harness = JSON.stringify(join(import.meta.dirname, 'crash-harness.ts'))
    const roles = JSON.stringify([{ name: 'still', program: program('still', `step(String(process.pid)); setInterval(() => {}, 1000)`) }])
    const mishap = { role: 'still', when: { kind: 'time', afterMs: 1_000 }, deed: { kind: 'pause', forMs: 60_000 } }
    writeFileSync(
      file,
      `import { crashTrial } from ${harness}
await crashTrial({ roles: ${roles}, mishaps: [${JSON.stringify(mishap)}], isDone: async () => true })`,
    )
    const child = spawn(process.execPath, [...process.execArgv, file], { stdio: 'ignore' })
    await vi.waitFor(() => expect(steps()).toHaveLength(1), { timeout: 10_000 })
    const pid = Number(steps()[0])
    const stateOf = () => spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim()
    try {
      await vi.waitFor(() => expect(stateOf()).toMatch(/^T/), { timeout: 10_000 })
      child.kill('SIGKILL')
      await vi.waitFor(() => expect(stateOf()).toMatch(/^Z|^$/), { timeout: 5_000 })
    } finally {
      if (stateOf() !== '') process.kill(pid, 'SIGKILL')
    }
  })

  describe('does not wait for an isDone that never answers', () => {
    const idle = () => ({ name: 'idle', program: program('idle', IDLE) })
    const hanging = () => new Promise<boolean>(() => {})

    it('when the time is over', async () => {
      const trial = crashTrial({ roles: [idle()], mishaps: [], isDone: hanging, timeoutMs: 300 })
      expect(await trial).toMatchObject({ done: false })
    })

    it('when it is told to end', async () => {
      const end = new AbortController()
      const isDone = () => {
        end.abort()
        return hanging()
      }
      expect(await crashTrial({ roles: [idle()], mishaps: [], isDone, signal: end.signal })).toMatchObject({ done: false })
    })

    it('when a process ends by itself', async () => {
      const failing = { name: 'failing', program: program('failing', `setTimeout(() => process.exit(3), 200)`) }
      await expect(crashTrial({ roles: [failing], mishaps: [], isDone: hanging })).rejects.toThrow('ended by itself: exit code 3')
    })
  })

  it('pauses a process at its point, and it goes on where it stood', async () => {
    const stood: string[] = []
    const trial = await crashTrial({
      roles: [{ name: 'counting', program: program('counting', COUNTING) }],
      outsiders: [{ name: 'looker', strike: async () => void stood.push(...steps()) }],
      mishaps: [
        atMiddle({ kind: 'pause', forMs: 200 }),
        {
          role: 'counting',
          when: { kind: 'point', point: 'middle', hit: 3, withinMs: 20_000 },
          deed: { kind: 'strike', outsider: 'looker' },
        },
      ],
      isDone: async () => steps().includes('ready'),
    })
    expect(trial).toMatchObject({ done: true, kills: 0, pauses: 1, strikes: 1, atPoint: 2 })
    expect(trial.tookMs).toBeGreaterThanOrEqual(200)
    expect(stood.at(-1)).toBe('before 3')
    expect(steps()).toEqual(['start', 'before 1', 'after 1', 'before 2', 'after 2', 'before 3', 'after 3', 'ready', 'end'])
  })

  it('lets an outsider strike at times of its own, and kill the processes that it takes along', async () => {
    let lives = 0
    const trial = await crashTrial({
      roles: [{ name: 'idle', program: program('idle', IDLE) }],
      outsiders: [
        {
          name: 'machine',
          async strike(kill) {
            lives += 1
            await vi.waitFor(() => expect(steps()).toHaveLength(lives), 10_000)
            kill('idle')
          },
        },
      ],
      mishaps: [1, 2].map(() => ({ role: 'machine', when: { kind: 'time', afterMs: 10 }, deed: { kind: 'strike', outsider: 'machine' } })),
      isDone: async () => steps().length === 3,
    })
    expect(trial).toMatchObject({ done: true, kills: 0, strikes: 2 })
  })

  it('kills at a time a process that never comes to its point', async () => {
    const kill = { kind: 'kill' } as const
    const trial = await crashTrial({
      roles: [{ name: 'idle', program: program('idle', IDLE) }],
      mishaps: [
        { role: 'idle', when: { kind: 'point', point: 'nowhere', hit: 1, withinMs: 10 }, deed: kill },
        { role: 'idle', when: { kind: 'time', afterMs: 0 }, deed: kill },
      ],
      isDone: async () => true,
    })
    expect(trial).toMatchObject({ done: true, kills: 2, atPoint: 0 })
  })

  it('tells once that all mishaps have happened, and only then asks whether all is done', async () => {
    const told: string[] = []
    await crashTrial({
      roles: [{ name: 'counting', program: program('counting', COUNTING) }],
      mishaps: [atMiddle({ kind: 'kill' }, 1)],
      onStruck: async () => void told.push('struck'),
      isDone: async () => told.push('asked') === 3,
    })
    expect(told).toEqual(['struck', 'asked', 'asked'])
  })

  it('refuses a mishap of somebody who is not there: it would not happen', async () => {
    const roles = [{ name: 'idle', program: program('idle', IDLE) }]
    const when = { kind: 'time', afterMs: 0 } as const
    const trial = (mishap: Mishap) => crashTrial({ roles, mishaps: [mishap], isDone: async () => true })
    await expect(trial({ role: 'idel', when, deed: { kind: 'kill' } })).rejects.toThrow('cannot crash "idel": the trial has idle')
    const struck = trial({ role: 'idle', when, deed: { kind: 'strike', outsider: 'sky' } })
    await expect(struck).rejects.toThrow('cannot strike "sky": the trial has no such outsider')
  })

  it('rejects when an outsider cannot strike, and leaves no process', async () => {
    const trial = crashTrial({
      roles: [{ name: 'counting', program: program('counting', COUNTING) }],
      outsiders: [{ name: 'sky', strike: async () => Promise.reject(new Error('the sky does not fall')) }],
      mishaps: [atMiddle({ kind: 'strike', outsider: 'sky' }, 1)],
      isDone: async () => true,
    })
    await expect(trial).rejects.toThrow('the sky does not fall')
    // It stood at its point when it was ended.
    expect(steps()).toEqual(['start', 'before 1'])
  })

  it('says when the time is over before all is done', async () => {
    const roles = [{ name: 'idle', program: program('idle', IDLE) }]
    const trial = await crashTrial({ roles, mishaps: [], isDone: async () => false, timeoutMs: 300 })
    expect(trial.done).toBe(false)
  })

  it('gives a trial its time anew while something moves, and ends one in which nothing does', async () => {
    const roles = [{ name: 'idle', program: program('idle', IDLE) }]
    const seen = ['one', 'two', 'two', 'three']
    const progress = async () => seen.shift() ?? ''
    const trial = await crashTrial({ roles, mishaps: [], isDone: async () => false, timeoutMs: 100, progress })
    expect(trial.done).toBe(false)
    expect(seen).toEqual(['three'])
  })

  it('ends a trial that moves for ever', async () => {
    const roles = [{ name: 'idle', program: program('idle', IDLE) }]
    let asked = 0
    const progress = async () => String(++asked)
    const trial = await crashTrial({ roles, mishaps: [], isDone: async () => false, timeoutMs: 20, progress })
    expect(trial.done).toBe(false)
    expect(asked).toBe(MOST_EXTENSIONS)
  })

  it('rejects when a process ends by itself: that crash was not planned', async () => {
    const trial = crashTrial({
      roles: [
        { name: 'other', program: program('idle', IDLE) },
        { name: 'failing', program: program('failing', `process.exit(3)`) },
      ],
      mishaps: [],
      isDone: async () => false,
    })
    await expect(trial).rejects.toThrow('the "failing" process ended by itself: exit code 3')
  })
})
