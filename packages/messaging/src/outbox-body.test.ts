import { EnvelopeError, encodeEnvelope, event } from '@banyan/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { bodyOf, type EventContent, envelopeOf } from './outbox-body.ts'

const orderPlaced = event('order.placed', { version: 3, schema: z.unknown(), key: () => 'o1' })

const CONTENT: EventContent = {
  id: 'e1',
  source: 'orders',
  key: 'o1',
  time: Date.parse('2026-01-01T00:00:00.000Z'),
  data: { total: 12 },
  correlationId: 'e1',
  causationId: undefined,
  trace: {},
}

const written = (content: Partial<EventContent> = {}) => bodyOf(orderPlaced, { ...CONTENT, ...content })
const read = (content: Partial<EventContent> = {}) => envelopeOf(written(content))

const ENVELOPE = {
  specversion: '1.0',
  id: 'e1',
  source: 'orders',
  type: 'order.placed',
  subject: 'o1',
  time: '2026-01-01T00:00:00.000Z',
  datacontenttype: 'application/json',
  dataschema: 'order.placed/3',
  data: { total: 12 },
  correlationid: 'e1',
} as const

it('is read as the envelope of what was written', () => {
  expect(read()).toEqual(ENVELOPE)
  const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'vendor=1' }
  expect(read({ correlationId: 'c1', causationId: 'e0', trace })).toEqual({
    ...ENVELOPE,
    ...trace,
    correlationid: 'c1',
    causationid: 'e0',
  })
})

it('says once what the envelope says twice, and nothing that always reads the same', () => {
  expect(written()).toBe('["order.placed/3","e1","orders","o1",1767225600000,{"data":{"total":12}}]')
})

it('leaves out what there is not', () => {
  const left = read({ data: undefined, trace: { tracestate: 'of nothing' } })
  for (const name of ['data', 'traceparent', 'tracestate', 'causationid']) expect(left).not.toHaveProperty(name)
  expect(read({ data: null })).toHaveProperty('data', null)
})

it('lets no text break out of its place, and loses none of it', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.constantFrom('"', '\\', '\n', '","id":"x', ']', '\u2028', '\ud800', '\0'),
  )
  const content = fc.record({ id: text, source: text, key: text, data: fc.jsonValue(), correlationId: text, causationId: text })
  fc.assert(
    fc.property(content, text, fc.date({ noInvalidDate: true }), ({ id, source, key, data, correlationId, causationId }, trace, date) => {
      const given = { id, source, key, data, correlationId, causationId, time: date.getTime() }
      expect(read({ ...given, trace: { traceparent: trace, tracestate: trace } })).toEqual({
        ...ENVELOPE,
        id,
        source,
        subject: key,
        time: date.toISOString(),
        // What JSON makes of the data alone: it knows no -0.
        data: JSON.parse(JSON.stringify(data)),
        traceparent: trace,
        tracestate: trace,
        correlationid: correlationId,
        causationid: causationId,
      })
    }),
  )
})

it('may be the envelope itself, as others write it there', () => {
  expect(envelopeOf(encodeEnvelope(ENVELOPE))).toEqual(ENVELOPE)
})

it('refuses data that JSON cannot hold', () => {
  expect(() => written({ data: { total: 1n } })).toThrow(TypeError)
})

const PARTS = JSON.parse(written()) as unknown[]

it.each([
  ['[', 'it is not JSON'],
  ['[]', 'wanted an envelope, or [schema/version, id, source, key, milliseconds since 1970, rest]'],
  ['"text"', 'cannot read an event envelope'],
])('refuses %s and says what is wanted', (body, message) => {
  expect(() => envelopeOf(body)).toThrow(message)
})

it.each([
  ['schema', 0, ['order.placed', '/3', 'order.placed/', 7, null]],
  ['id', 1, ['', 7, null]],
  ['source', 2, ['', 7]],
  ['key', 3, ['', {}]],
  ['time', 4, ['2026', 8.64e15 + 1, null, -8.64e15 - 1]],
  ['rest', 5, [null, [], 'data', { id: 'e2' }, { correlationid: null }, { traceparent: 7 }]],
])('refuses a %s that publish never writes', (_, place, values) => {
  for (const value of values) {
    const body = JSON.stringify(PARTS.with(place, value))
    expect(() => envelopeOf(body), body).toThrow(expect.objectContaining({ code: 'ERR_ENVELOPE_INVALID' }))
  }
})

it('refuses more parts than there are, and fewer', () => {
  for (const parts of [[...PARTS, null], PARTS.slice(0, 5)]) expect(() => envelopeOf(JSON.stringify(parts))).toThrow(EnvelopeError)
})

it('reads or refuses whatever stands there', () => {
  const tryIt = (body: string) => {
    try {
      envelopeOf(body)
    } catch (error) {
      expect(error).toBeInstanceOf(EnvelopeError)
    }
  }
  fc.assert(fc.property(fc.string(), (text) => tryIt(`[${text}`)))
  fc.assert(fc.property(fc.array(fc.jsonValue(), { minLength: 5, maxLength: 7 }), (parts) => tryIt(JSON.stringify(parts))))
  fc.assert(
    fc.property(fc.nat({ max: PARTS.length - 1 }), fc.jsonValue(), (place, value) => tryIt(JSON.stringify(PARTS.with(place, value)))),
  )
})
