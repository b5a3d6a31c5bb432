import { manualWorld } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { fuzzAnswer } from './answers.ts'
import { socketFuzzer } from './sockets.ts'
import { fuzzTarget } from './targets.ts'

// A short run of each fuzzer, from fixed seeds; npm run fuzz makes long ones.

describe('bad bytes', () => {
  it.each([
    ['answers', fuzzAnswer, ['clean', 'closed', 'unclean']],
    ['targets', fuzzTarget, ['read', 'rejected']],
  ])('as %s are read in one way or refused', (_, fuzz, ends) => {
    const { random } = manualWorld({ seed: 1 })
    const seen = new Set(Array.from({ length: 5_000 }, () => fuzz(random)))
    expect([...seen].sort()).toEqual(ends)
  })

  it('do not keep a gateway from answering good ones', async () => {
    const { random } = manualWorld({ seed: 2 })
    const sockets = await socketFuzzer()
    const seen = new Set<string>()
    for (let n = 0; n < 200; n += 1) seen.add(await sockets.run(random))
    await sockets.stop()
    expect([...seen]).toEqual(expect.arrayContaining(['2xx', '4xx', '5xx']))
  })
})
