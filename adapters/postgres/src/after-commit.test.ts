import { silentLogger } from '@banyan/core'
import { expect, it, vi } from 'vitest'
import { callAfterCommit } from './after-commit.ts'

it('makes each call, and logs what one throws or, as "() => void" takes an async function, rejects with', async () => {
  const log = { ...silentLogger, error: vi.fn() }
  const [thrown, rejected] = [new Error('no letter'), new Error('no call')]
  const made = vi.fn()
  const throws = () => {
    throw thrown
  }
  callAfterCommit([throws, async () => Promise.reject(rejected), made], log)
  await new Promise(setImmediate)
  expect(made).toHaveBeenCalledOnce()
  expect(log.error.mock.calls.map(([fields]) => fields)).toEqual([{ error: thrown }, { error: rejected }])
})

it('makes each call also where the log can take neither', async () => {
  const log = {
    ...silentLogger,
    error() {
      throw new Error('no log')
    },
  }
  const made = vi.fn()
  callAfterCommit([async () => Promise.reject(new Error('no call')), made], log)
  await new Promise(setImmediate)
  expect(made).toHaveBeenCalledOnce()
})
