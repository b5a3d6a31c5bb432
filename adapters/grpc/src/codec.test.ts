import { api } from '@banyan/core'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { decodeMessage } from './decode.ts'
import { encodeMessage } from './encode.ts'
import { protoFile } from './proto-file.ts'
import type { ProtoMessage } from './proto-model.ts'
import { protoText } from './proto-text.ts'
import { WireError } from './wire-reader.ts'

const Tree = z
  .object({
    id: z.string(),
    get kids() {
      return z.array(Tree).optional()
    },
  })
  .meta({ title: 'Tree' })

const body = z.strictObject({
  text: z.string(),
  count: z.int(),
  weight: z.number(),
  gift: z.boolean(),
  nothing: z.string().nullable(),
  either: z.unknown(),
  texts: z.array(z.string()),
  counts: z.array(z.int()),
  byName: z.record(z.string(), z.int()),
  extra: z.record(z.string(), z.unknown()),
  tree: Tree,
  maybe: z.string().optional(),
})

const contract = api('all', { operations: { send: { method: 'POST', path: '/all', body, protocols: ['grpc'] } } })
const request = protoFile(contract).methods[0]?.request as ProtoMessage

const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value).replaceAll('-0', '0')))
const key = fc.string().filter((text) => text !== '__proto__')
const text = fc.string({ unit: 'grapheme' })
const tree = fc.letrec((tie) => ({
  tree: fc.record(
    { id: text, kids: fc.array(tie('tree'), { minLength: 1, maxLength: 2, depthIdentifier: 'tree' }) },
    { requiredKeys: ['id'] },
  ),
})).tree
const anyBody = fc.record(
  {
    text,
    count: fc.maxSafeInteger(),
    weight: fc.double({ noNaN: true, noDefaultInfinity: true }),
    gift: fc.boolean(),
    nothing: fc.option(text),
    either: json,
    texts: fc.array(text),
    counts: fc.array(fc.maxSafeInteger()),
    byName: fc.dictionary(key, fc.maxSafeInteger()),
    extra: fc.dictionary(key, json),
    tree,
    maybe: text,
  },
  { requiredKeys: ['text', 'count', 'weight', 'gift', 'nothing', 'either', 'texts', 'counts', 'byName', 'extra', 'tree'] },
)

function encode(value: unknown): Uint8Array {
  const encoded = encodeMessage(request, value)
  if (!encoded.ok) throw new Error(JSON.stringify(encoded.issues))
  return encoded.bytes
}

/** Without the prototypes, or lack of them, that comparing looks at. */
function plain(value: unknown): unknown {
  return value === null || typeof value !== 'object'
    ? value
    : Array.isArray(value)
      ? value.map(plain)
      : Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]))
}

test('whatever fits the contract comes back as it was sent', () => {
  fc.assert(
    fc.property(anyBody, (value) => {
      expect(plain(decodeMessage(request, encode({ body: value })))).toEqual({ body: plain(value) })
    }),
  )
})

test("protobuf's own reader understands what is written, and its writer is understood", () => {
  const root = protobuf.parse(protoText(contract)).root
  root.addJSON(protobuf.common.get('google/protobuf/struct.proto')?.nested ?? {})
  const type = root.lookupType('all.v1.SendRequest')
  const value = {
    text: 'ä',
    count: -5,
    weight: 1.5,
    gift: true,
    texts: ['a', ''],
    counts: [1, 2, 300],
    byName: { a: 1, b: 0 },
    tree: { id: 'x' },
  }
  const bytes = encode({ body: { ...value, nothing: null, either: { a: [1, 'b', null, false] }, extra: {} } })
  const theirs = type.toObject(type.decode(bytes), { longs: Number }) as { body: Record<string, unknown> }
  expect(theirs.body).toMatchObject(value)
  expect(plain(decodeMessage(request, type.encode(theirs).finish()))).toEqual({
    body: { ...value, nothing: null, either: { a: [1, 'b', null, false] }, extra: {} },
  })
})

test('whatever bytes come, they are read or refused, and never crash or change what an object is', () => {
  const sent = encode({
    body: {
      text: 'a',
      count: 1,
      weight: 2,
      gift: true,
      nothing: null,
      either: [1],
      texts: ['b'],
      counts: [1],
      byName: {},
      extra: {},
      tree: { id: 't' },
    },
  })
  const bent = fc.array(fc.record({ at: fc.nat(sent.length - 1), to: fc.nat(255) }), { minLength: 1, maxLength: 5 }).map((changes) => {
    const bytes = Uint8Array.from(sent)
    for (const { at, to } of changes) bytes[at] = to
    return bytes
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), bent), (bytes) => {
      try {
        JSON.stringify(decodeMessage(request, bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(WireError)
      }
    }),
    { numRuns: 2_000 },
  )
  expect(({} as Record<string, unknown>).polluted).toBeUndefined()
})

const bytes = (...all: number[]) => Uint8Array.from(all)
test.each([
  ['a text cut short', bytes(0x0a, 0x04, 0x0a, 0x09, 0x41, 0x42), 'it ends 7 bytes too early'],
  ['a number for a text', bytes(0x0a, 0x02, 0x08, 0x05), 'field 1, "text", has the wire type 0, wanted 2'],
  ['a text that is no UTF-8', bytes(0x0a, 0x04, 0x0a, 0x02, 0xc3, 0x28), 'a text is not UTF-8'],
  ['a number without an end', bytes(...Array.from({ length: 12 }, () => 0xff)), 'a number has more than ten bytes'],
  [
    'a whole number that is not exact',
    bytes(0x0a, 0x0a, 0x10, ...Array.from({ length: 7 }, () => 0xff), 0x7f, 0x00),
    'beyond the whole numbers',
  ],
  ['field number 0', bytes(0x00, 0x00), 'a field has the number 0'],
  ['a group', bytes(0x7b), 'a field has the wire type 3'],
])('refused: %s', (_, sent, message) => {
  expect(() => decodeMessage(request, sent)).toThrow(message)
})

test('messages in one another without end are refused, not followed', () => {
  let inner: Uint8Array = bytes()
  for (let depth = 0; depth < 200; depth += 1) inner = new protobuf.Writer().uint32(0x12).bytes(inner).finish()
  const sent = new protobuf.Writer().uint32(0x0a).bytes(new protobuf.Writer().uint32(0x5a).bytes(inner).finish()).finish()
  expect(() => decodeMessage(request, sent)).toThrow('messages stand in one another more than 64 deep')
})

test('a field that a newer caller sends is passed over', () => {
  const sent = new protobuf.Writer().uint32(0x0a).bytes(
    new protobuf.Writer()
      .uint32(0x0a)
      .string('a')
      .uint32((99 << 3) | 2)
      .string('new')
      .finish(),
  )
  expect(plain(decodeMessage(request, sent.finish()))).toMatchObject({ body: { text: 'a', texts: [], byName: {}, nothing: null } })
})

test('JSON that is no such message is refused with every place that is wrong', () => {
  const wrong = {
    text: 7,
    count: 1.5,
    weight: '1',
    gift: null,
    texts: 'a',
    counts: [1, 'b'],
    byName: { a: {} },
    extra: [],
    tree: { id: 'x', kids: {} },
    colour: 'red',
  }
  const encoded = encodeMessage(request, { body: wrong })
  expect(encoded.ok ? [] : encoded.issues.map(({ path, message }) => `${path} ${message}`)).toEqual([
    'body.colour there is no such field',
    'body.text is of type number, wanted a text',
    'body.count is of type number, wanted a whole number within 2^53',
    'body.weight is of type string, wanted a number',
    'body.gift is null, wanted true or false',
    'body.texts is of type string, wanted a list',
    'body.counts.1 is of type string, wanted a whole number within 2^53',
    'body.byName.a is of type object, wanted a whole number within 2^53',
    'body.extra is a list, wanted an object',
    'body.tree.kids is of type object, wanted a list',
  ])
})

test('a field that may be null and may be left out is left out, null, empty or full, and each comes out as it went in', () => {
  const patch = z.object({ note: z.string().nullish(), tags: z.array(z.string()).nullish() })
  const operation = { method: 'PATCH', path: '/notes', body: patch, protocols: ['grpc'] } as const
  const message = protoFile(api('notes', { operations: { patch: operation } })).methods[0]?.request as ProtoMessage
  for (const body of [{}, { note: null }, { note: '' }, { note: 'a', tags: null }, { tags: [] }, { tags: ['a'] }]) {
    const encoded = encodeMessage(message, { body })
    expect(encoded.ok && plain(decodeMessage(message, encoded.bytes))).toEqual({ body })
  }
})

test('a number that JSON has no way to say is refused, wherever it stands', () => {
  for (const number of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (const field of [{ weight: number }, { either: number }, { extra: { a: [number] } }])
      expect(() => decodeMessage(request, encode({ body: { nothing: null, ...field } }))).toThrow(
        new WireError(`a number is ${number}, which JSON has no way to say`),
      )
  }
})

test('a message full of small things takes little longer than JSON that is: no one call holds up the others', () => {
  const operation = { method: 'PUT', path: '/counts', body: z.record(z.string(), z.int()), protocols: ['grpc'] } as const
  const message = protoFile(api('counts', { operations: { put: operation } })).methods[0]?.request as ProtoMessage
  // Entries of a map, without a key and a value.
  const entries = Buffer.concat(Array.from({ length: 100_000 }, () => Buffer.from([0x0a, 0])))
  expect(plain(decodeMessage(message, entries))).toEqual({ body: { '': 0 } })
  const json = JSON.stringify(Array.from({ length: 100_000 }, () => ({ '': 0 })))
  const fastest = (read: () => unknown) => {
    const times = Array.from({ length: 5 }, () => {
      const before = performance.now()
      read()
      return performance.now() - before
    })
    return Math.min(...times)
  }
  expect(fastest(() => decodeMessage(message, entries)) / fastest(() => JSON.parse(json))).toBeLessThan(10)
})
