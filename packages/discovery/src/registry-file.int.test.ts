import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { manualWorld, silentLogger } from '@banyan/core'
import { expect, onTestFinished, test } from 'vitest'
import { registryFile } from './registry-file.ts'
import { newRegistry } from './registry-index.ts'

/** A world whose clock and timers are the test's. */
function heldWorld() {
  const timers: { delayMs: number; fire: () => void }[] = []
  let clock = 0
  const after = (delayMs: number, fire: () => void) => ({ cancel() {}, at: timers.push({ delayMs, fire }) })
  return {
    world: { ...manualWorld(), monotonic: () => clock, after },
    timers,
    pass(durationMs: number) {
      clock += durationMs
    },
  }
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'banyan-registry-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test('a write that the process slept through holds the next changes back for seconds, not for as long again', async () => {
  const { world, timers, pass } = heldWorld()
  const file = registryFile(join(await temporaryFolder(), 'registry.json'), world, silentLogger)
  file.save(newRegistry(1))
  const first = file.saved()
  timers.at(-1)?.fire()
  pass(600_000)
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
  const path = join(await temporaryFolder(), 'registry.json')
  const file = registryFile(path, manualWorld(), silentLogger)
  file.save(newRegistry(1))
  await file.close()
  expect((await stat(path)).mode & 0o077).toBe(0)
})

test('a disk that refuses is tried again each second, however much changes meanwhile', async () => {
  const { world, timers, pass } = heldWorld()
  const file = registryFile(join(await temporaryFolder(), 'gone', 'registry.json'), world, silentLogger)
  file.save(newRegistry(1))
  const first = file.saved()
  timers.shift()?.fire()
  await first
  expect(timers.splice(0).map(({ delayMs }) => delayMs)).toEqual([1_000])
  pass(300)
  file.save(newRegistry(2))
  const second = file.saved()
  expect(timers.filter(({ delayMs }) => delayMs < 700)).toEqual([])
  await file.close()
  await second
})
