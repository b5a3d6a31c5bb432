import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { manualWorld, silentLogger } from '@banyan/core'
import { expect, onTestFinished, test } from 'vitest'
import { registryFile } from './registry-file.ts'
import { newRegistry } from './registry-index.ts'

test('a write that the process slept through holds the next changes back for seconds, not for as long again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'banyan-registry-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  let clock = 0
  const timers: { delayMs: number; fire: () => void }[] = []
  const world = {
    ...manualWorld(),
    monotonic: () => clock,
    after: (delayMs: number, fire: () => void) => ({ cancel() {}, at: timers.push({ delayMs, fire }) }),
  }
  const file = registryFile(join(folder, 'registry.json'), world, silentLogger)
  file.save(newRegistry(1))
  const first = file.saved()
  timers.at(-1)?.fire()
  clock += 600_000
  await first
  file.save(newRegistry(2))
  expect(timers.at(-1)?.delayMs).toBeLessThanOrEqual(30_000)
  const second = file.saved()
  expect(timers.at(-1)?.delayMs).toBeLessThanOrEqual(2_000)
  timers.at(-1)?.fire()
  await second
  await file.close()
})

test('the file is for its owner alone: the headers of checks in it may be secrets', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'banyan-registry-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'registry.json')
  const file = registryFile(path, manualWorld(), silentLogger)
  file.save(newRegistry(1))
  await file.close()
  expect((await stat(path)).mode & 0o077).toBe(0)
})
