import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ENGINES } from './engine.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-interrupt-'))
  // The server may run as another user.
  chmodSync(folder, 0o755)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

it.each(ENGINES)('a sitting that is interrupted says what it has seen, and leaves nothing: %s', { timeout: 60_000 }, async (engine) => {
  const options = ['--trials', '1000', '--parallel', '2', '--engine', engine, '--scenario', 'saga']
  const sitting = spawn(process.execPath, [...process.execArgv, join(import.meta.dirname, 'main.ts'), ...options], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [sitting.stdout, sitting.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk
      // Its first trials are about to begin, or have.
      if (said.includes('1000 trials of')) sitting.kill('SIGINT')
    })
  }
  expect(await once(sitting, 'close')).toEqual([130, null])
  expect(said).toMatch(/interrupted: 1000 trials were not made\n$/)
  expect(said).not.toContain('Error')
  expect(readdirSync(folder)).toEqual([])
})
