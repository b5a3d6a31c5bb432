import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, manualWorld, silentLogger } from '@banyan/core'
import { describe, expect, it, onTestFinished } from 'vitest'
import { watchFile } from './file-watch.ts'
import { until } from './test/harness.ts'

/** A file that is watched, in a world whose time the test moves; `heard`: how many events of its folder have come. */
function watched(onChange: () => Promise<void>, log: Logger = silentLogger) {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-watch-'))
  const file = join(folder, 'gateway.yaml')
  for (const name of ['gateway.yaml', 'access.log']) writeFileSync(join(folder, name), '')
  const world = manualWorld()
  let heard = 0
  const counting = {
    ...world,
    after: (ms: number, run: () => void) => {
      heard += 1
      return world.after(ms, run)
    },
  }
  const watching = watchFile(file, onChange, { world: counting, log })
  onTestFinished(() => {
    watching.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const touch = async (name: string) => {
    const before = heard
    appendFileSync(join(folder, name), 'x')
    await until(() => heard > before, 'the event')
  }
  return { touch, world }
}

describe('watchFile', () => {
  it('waits until a file has settled', async () => {
    let changes = 0
    const { touch, world } = watched(async () => {
      changes += 1
    })
    await touch('gateway.yaml')
    await world.advance(49)
    expect(changes).toBe(0)
    await world.advance(1)
    expect(changes).toBe(1)
  })

  it('hears of a change although a neighbour, such as a log, is written all the time', async () => {
    let changes = 0
    const { touch, world } = watched(async () => {
      changes += 1
    })
    for (let n = 0; n < 30; n += 1) {
      await touch('access.log')
      await world.advance(40)
    }
    expect(changes).toBe(1)
  })

  it('tells once what is wrong, however often it looks again, until something else is', async () => {
    const lines: string[] = []
    const log: Logger = { ...silentLogger, error: (_, message) => void lines.push(message) }
    let wrong: string | undefined = 'one'
    const { touch, world } = watched(async () => {
      if (wrong !== undefined) throw new Error(wrong)
    }, log)
    for (const next of ['one', 'one', 'two', undefined, 'two']) {
      wrong = next
      await touch('access.log')
      await world.advance(50)
    }
    expect(lines.map((line) => line.slice(-5))).toEqual([': one', ': two', ': two'])
  })
})
