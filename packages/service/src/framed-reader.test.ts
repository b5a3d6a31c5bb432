import type { Socket } from 'node:net'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readHeads, writtenHeads } from './framed-heads.ts'
import { frameReader } from './framed-reader.ts'
import {
  FrameError,
  HEAD_START,
  headEnd,
  helloText,
  KIND,
  type Kind,
  readHello,
  readRequestHead,
  readResponseHead,
  requestHead,
  responseHead,
} from './framed-wire.ts'
import { frameBytes, frameWriter } from './framed-writer.ts'

const MAX = 4_096

interface Seen {
  kind: Kind
  call: number
  content: string
}

/** What a writer sends. */
function written(write: (writer: ReturnType<typeof frameWriter>) => void): Buffer {
  const chunks: Buffer[] = []
  // Of a socket, only what a writer uses.
  const socket = { destroyed: false, write: (bytes: Buffer) => void chunks.push(Buffer.from(bytes)) } as unknown as Socket
  const writer = frameWriter(socket)
  write(writer)
  writer.flush()
  return Buffer.concat(chunks)
}

function reading(max = MAX) {
  const seen: Seen[] = []
  const reader = frameReader(max, (kind, call, content) => void seen.push({ kind, call, content: content.toString('hex') }))
  return { seen, reader }
}

/** Pushes bytes in pieces of these sizes, in turn. */
function pushCut(reader: { push(chunk: Buffer): void }, bytes: Buffer, sizes: readonly number[]): void {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    reader.push(Buffer.from(bytes.subarray(at, at + size)))
    at += size
  }
}

/** A frame with a head, as both sides read it. */
function readFrame<Head>(content: Buffer, read: (text: string) => Head): Head & { body: string } {
  const end = headEnd(content)
  const head = readHeads(read)(content, HEAD_START, end)
  return { ...head, body: content.toString('utf8', end) }
}
const readRequestFrame = (content: Buffer) => {
  const { body, ...head } = readFrame(content, readRequestHead)
  return { ...head, body: body === '' ? undefined : body }
}
const readResponseFrame = (content: Buffer) => readFrame(content, readResponseHead)

const kinds = fc.constantFrom<Kind>(...Object.values(KIND))
const frames = fc.array(fc.record({ kind: kinds, call: fc.nat(0xffff_ffff), text: fc.string({ unit: 'binary', maxLength: 400 }) }), {
  maxLength: 20,
})
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 })

test('whatever is written is read, however the bytes are cut', () => {
  fc.assert(
    fc.property(frames, sizes, (some, cuts) => {
      const bytes = written((writer) => {
        for (const { kind, call, text } of some) writer.frame(kind, call, text)
      })
      const { seen, reader } = reading()
      pushCut(reader, bytes, cuts)
      expect(seen).toEqual(some.map(({ kind, call, text }) => ({ kind, call, content: Buffer.from(text).toString('hex') })))
    }),
    { numRuns: 300 },
  )
})

test('raw bytes are frames or a FrameError, nothing else, and after a wrong length nothing is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), sizes, (bytes, cuts) => {
      const { seen, reader } = reading(512)
      try {
        pushCut(reader, Buffer.from(bytes), cuts)
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError)
      }
      for (const { kind, content } of seen) {
        expect(Object.values(KIND)).toContain(kind)
        expect(content.length / 2).toBeLessThanOrEqual(512 - 9)
      }
    }),
    { numRuns: 500 },
  )
})

test('good frames with one byte turned over are read, or end in a FrameError', () => {
  fc.assert(
    fc.property(frames, fc.nat(), fc.integer({ min: 1, max: 255 }), (some, where, flip) => {
      const bytes = written((writer) => {
        for (const { kind, call, text } of some) writer.frame(kind, call, text)
      })
      const at = bytes.length === 0 ? 0 : where % bytes.length
      if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ flip
      try {
        reading().reader.push(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError)
      }
    }),
    { numRuns: 300 },
  )
})

test('a frame that is too long is refused by its length, before any of it has come', () => {
  const { reader } = reading(64)
  reader.push(Buffer.from([0, 0, 0]))
  expect(() => reader.push(Buffer.from([61]))).toThrow('a frame says it is 65 bytes long, wanted at most 64')
  expect(() => reading().reader.push(Buffer.from([0, 0, 0, 4]))).toThrow('a frame says it is 4 bytes long, wanted at least 5')
  expect(() => reading().reader.push(Buffer.from([0, 0, 0, 5, 9, 0, 0, 0, 1]))).toThrow('a frame is of kind 9, wanted 1 to 8')
})

const headers = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/), fc.stringMatching(/^[ -~]{0,30}$/))

test('requests and answers come through as they were, with any text in them', () => {
  const body = fc.string({ unit: 'grapheme', maxLength: 300 })
  fc.assert(
    fc.property(headers, body, fc.integer({ min: 100, max: 599 }), (some, text, status) => {
      const request = { method: 'POST', path: '/orders/7?x=%C3%BC', headers: some }
      const answer = { status, headers: some, body: text }
      const heads = [requestHead({ ...request, service: 's', body: text, signal: new AbortController().signal }), responseHead(answer)]
      const bytes = written((writer) => {
        writer.message(KIND.request, 1, heads[0] ?? '', text)
        writer.message(KIND.response, 2, heads[1] ?? '', text)
      })
      expect(bytes.length).toBe(heads.reduce((sum, head) => sum + frameBytes(head, text), 0))
      const read: unknown[] = []
      const take = (kind: Kind, _: number, content: Buffer) =>
        void read.push(kind === KIND.request ? readRequestFrame(content) : readResponseFrame(content))
      frameReader(1e6, take).push(bytes)
      expect(read).toEqual([{ ...request, body: text === '' ? undefined : text }, answer])
    }),
    { numRuns: 200 },
  )
})

test('texts of every size stand where they belong, also over the ends of blocks', () => {
  const texts = Array.from({ length: 400 }, (_, n) => 'ü'.repeat((n * 97) % 3_000))
  const bytes = written((writer) => {
    for (const [n, text] of texts.entries()) writer.frame(KIND.failed, n, text)
  })
  const { seen, reader } = reading(1e5)
  pushCut(reader, bytes, [40_000, 7, 65_536])
  expect(seen.map(({ content }) => Buffer.from(content, 'hex').toString())).toEqual(texts)
})

test('the content of a frame is what it says or a FrameError', () => {
  const content = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((json) => {
      const head = Buffer.from(json)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(head.length)
      return Buffer.concat([length, head, Buffer.from('body')])
    }),
  )
  fc.assert(
    fc.property(content, (bytes) => {
      for (const read of [readHello, readRequestFrame, readResponseFrame]) {
        try {
          read(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError)
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('heads that would be something else over HTTP are refused', () => {
  const frame = (head: unknown) => {
    const bytes = written((writer) => writer.message(KIND.request, 1, JSON.stringify(head), ''))
    return () => readRequestFrame(bytes.subarray(9))
  }
  expect(frame(['GET', '/a', { accept: 'x' }])()).toEqual({ method: 'GET', path: '/a', headers: { accept: 'x' }, body: undefined })
  expect(frame(['get', '/a', {}])).toThrow('the method of a request is none')
  expect(frame(['GET', 'http://a/', {}])).toThrow('the path of a request is none')
  expect(frame(['GET', '/a b', {}])).toThrow('the path of a request is none')
  expect(frame(['GET', '/a', { 'X-Upper': 'x' }])).toThrow('the header "X-Upper" has a name that is none')
  expect(frame(['GET', '/a', { a: 'x\r\ny: z' }])).toThrow('the header "a" has a value that is none')
  expect(frame(['GET', '/a', { a: 1 }])).toThrow('the header "a" has a value that is none')
  expect(frame(['GET', '/a', []])).toThrow('the headers are none')
  expect(readHello(Buffer.from(helloText({ service: 'stock', maxFrameBytes: 100 })))).toEqual({ service: 'stock', maxFrameBytes: 100 })
})

test('a head is read once, and given again for the very same bytes alone', () => {
  let read = 0
  const heads = readHeads((text) => {
    read += 1
    return Object.freeze({ text })
  })
  const of = (text: string) => {
    const bytes = Buffer.from(`..${text}..`)
    return heads(bytes, 2, bytes.length - 2)
  }
  expect([of('ü'), of('ü'), of('u'), of('Ã¼')].map(({ text }) => text)).toEqual(['ü', 'ü', 'u', 'Ã¼'])
  expect(read).toBe(3)
  expect(of('ü')).toBe(of('ü'))
  // What always differs does not stay for ever, and what is long not at all.
  for (let count = 0; count < 1_000; count += 1) of(String(count))
  read = 0
  of('ü')
  for (let time = 0; time < 3; time += 1) of('x'.repeat(2_000))
  expect(read).toBe(4)
})

test('the text of a head is kept for headers that are shared, and for the same method and path alone', () => {
  const headOf = writtenHeads()
  const headers = Object.freeze({ accept: 'application/json' })
  const request = (method: string, path: string) => ({
    service: 's',
    method,
    path,
    headers,
    body: '',
    signal: new AbortController().signal,
  })
  const asked = [request('GET', '/a'), request('GET', '/a'), request('GET', '/b'), request('PUT', '/b'), request('GET', '/a')]
  expect(asked.map(headOf)).toEqual(asked.map(requestHead))
})

test('sixteen frames go without waiting for the end of the turn, the rest at its end', async () => {
  const chunks: number[] = []
  // Of a socket, only what a writer uses.
  const socket = { destroyed: false, write: (bytes: Buffer) => void chunks.push(bytes.length) } as unknown as Socket
  const writer = frameWriter(socket)
  for (let call = 1; call <= 20; call += 1) writer.frame(KIND.cancel, call)
  expect(chunks).toEqual([16 * 9])
  await new Promise((resolve) => setImmediate(resolve))
  expect(chunks).toEqual([16 * 9, 4 * 9])
})
