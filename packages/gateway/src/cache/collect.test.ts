import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { type CollectOptions, collect, copyRoom } from './collect.ts'

type Result = Parameters<CollectOptions['done']>[0]

/** A body that the test feeds, and what becomes of its copy. */
function collecting({ maxBytes = 100, room = copyRoom(1_000) }: Partial<CollectOptions> = {}) {
  const source = new Readable({ read: () => undefined })
  const results: Result[] = []
  const stream = collect(source, { maxBytes, room, done: (result) => void results.push(result) })
  return { source, stream, results }
}

/** The next part of a body, when it has come through. */
async function through({ source, stream }: ReturnType<typeof collecting>, text: string) {
  source.push(text)
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) return String(chunk)
  throw new Error('the body ended')
}

describe('collect', () => {
  it('has all of a body when it has gone by', async () => {
    const one = collecting()
    expect(await through(one, 'ab')).toBe('ab')
    expect(one.results).toEqual([])
    one.source.push('cd')
    one.source.push(null)
    expect(String(await buffer(one.stream))).toBe('cd')
    expect(one.results.map(String)).toEqual(['abcd'])
  })

  it('says at once that a body is too long, and lets the rest go by', async () => {
    const one = collecting({ maxBytes: 3 })
    await through(one, 'abc')
    expect(one.results).toEqual([])
    await through(one, 'd')
    expect(one.results).toEqual(['not kept'])
    one.source.push('efg')
    one.source.push(null)
    expect(String(await buffer(one.stream))).toBe('efg')
    expect(one.results).toEqual(['not kept'])
  })

  it('has no copy of a body that is cut, and the cut goes on', async () => {
    const one = collecting()
    await through(one, 'abc')
    one.source.destroy(new Error('cut'))
    await expect(buffer(one.stream)).rejects.toThrow('cut')
    expect(one.results).toEqual(['lost'])
  })

  it('has no copy for a client that left, and ends the way of the body', async () => {
    const one = collecting()
    await through(one, 'abc')
    const closed = new Promise((resolve) => one.source.on('close', resolve))
    one.stream.destroy()
    await closed
    expect(one.results).toEqual(['lost'])
  })

  it('copies no more at a time than there is room for, and gives room back', async () => {
    const room = copyRoom(10)
    const [first, second] = [collecting({ room }), collecting({ room })]
    await through(first, '123456')
    expect(await through(second, '12345')).toBe('12345')
    expect([first.results, second.results]).toEqual([[], ['lost']])
    first.source.push(null)
    await buffer(first.stream)
    expect(first.results.map(String)).toEqual(['123456'])
    const third = collecting({ room })
    await through(third, '1234567890')
    expect(third.results).toEqual([])
    third.source.destroy()
    third.stream.resume()
    await new Promise((resolve) => third.stream.on('close', resolve))
    expect(room.take(10)).toBe(true)
  })
})
