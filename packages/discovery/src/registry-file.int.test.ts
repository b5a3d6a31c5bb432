import { mkdtemp, rm } from 'node:fs/promises'
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
