import { systemWorld } from '@banyan/core'
import { afterEach, describe, expect, it } from 'vitest'
import { type Supervisor, supervisor } from './supervisor.ts'

const { execPath } = process
afterEach(() => {
  process.execPath = execPath
})

function supervised(program: string, more: Partial<Parameters<typeof supervisor>[0]> = {}): Supervisor {
  return supervisor({ name: 'toy', args: [program], env: process.env, world: systemWorld, onLine: () => {}, stopMs: 1_000, ...more })
}

describe('a supervisor', () => {
  it('says that the system starts no process, and can be stopped', async () => {
    process.execPath = '/no/such/node'
    const toy = supervised('toy.ts')
    await expect(toy.start()).rejects.toThrow(/^process "toy" did not start: .*ENOENT/)
    expect(toy.state).toBe('waiting')
    await toy.stop()
    expect(toy.state).toBe('stopped')
  }, 5_000)
})
