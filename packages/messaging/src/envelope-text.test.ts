import { decodeEnvelope, event } from '@banyan/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { type EventContent, envelopeText } from './envelope-text.ts'

const orderPlaced = event('order.placed', { version: 3, schema: z.unknown(), key: () => 'o1' })

const CONTENT: EventContent = {
  id: 'e1',
  source: 'orders',
  key: 'o1',
  time: '2026-01-01T00:00:00.000Z',
  data: { total: 12 },
  correlationId: 'c1',
  causationId: undefined,
  trace: {},
}

const written = (content: Partial<EventContent> = {}) => envelopeText(orderPlaced, { ...CONTENT, ...content })

it('writes an envelope that is read as what was written', () => {
  const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'vendor=1' }
  expect(decodeEnvelope(written({ causationId: 'e0', trace }))).toEqual({
    specversion: '1.0',
    id: 'e1',
    source: 'orders',
    type: 'order.placed',
    subject: 'o1',
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    dataschema: 'order.placed/3',
    data: { total: 12 },
    ...trace,
    correlationid: 'c1',
    causationid: 'e0',
  })
})

it('leaves out what there is not', () => {
  const read = decodeEnvelope(written({ data: undefined, trace: { tracestate: 'of nothing' } }))
  for (const name of ['data', 'traceparent', 'tracestate', 'causationid']) expect(read).not.toHaveProperty(name)
})

it('lets no text break out of its place, and loses none of it', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.constantFrom('"', '\\', '\n', '","id":"x', '\u2028', '\ud800', '\0'),
  )
  const content = fc.record({ id: text, source: text, key: text, data: fc.jsonValue(), correlationId: text, causationId: text })
  fc.assert(
    fc.property(content, text, ({ id, source, key, data, correlationId, causationId }, trace) => {
      const body = written({ id, source, key, data, correlationId, causationId, trace: { traceparent: trace, tracestate: trace } })
      // What JSON makes of the data alone: it knows no -0.
      expect(JSON.parse(body)).toMatchObject({ id, source, subject: key, correlationid: correlationId, causationid: causationId })
      expect(JSON.parse(body)).toMatchObject({ data: JSON.parse(JSON.stringify(data)), traceparent: trace, tracestate: trace })
      expect(Object.keys(JSON.parse(body))).toHaveLength(13)
    }),
  )
})

it('refuses data that JSON cannot hold', () => {
  expect(() => written({ data: { total: 1n } })).toThrow(TypeError)
})
