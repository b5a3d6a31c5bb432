import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeEnvelope, type Envelope, EnvelopeError, encodeEnvelope, schemaVersion } from './envelope.ts'

const envelope: Envelope = {
  specversion: '1.0',
  id: '01890c0e-0000-7000-8000-000000000000',
  source: 'orders',
  type: 'order.placed',
  subject: 'order-1',
  time: '2026-01-01T00:00:00.000Z',
  datacontenttype: 'application/json',
  dataschema: 'order.placed/2',
  data: { total: 12 },
}

test('comes back from text as it went in, with every optional attribute and any data', () => {
  const text = fc.string({ minLength: 1 })
  const arbitrary = fc.record(
    {
      specversion: fc.constant('1.0' as const),
      id: text,
      source: text,
      type: text,
      subject: text,
      time: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(8e13) }).map((date) => date.toISOString()),
      datacontenttype: fc.constant('application/json' as const),
      dataschema: text,
      data: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown),
      traceparent: text,
      tracestate: text,
      correlationid: text,
      causationid: text,
    },
    { requiredKeys: ['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'dataschema', 'data'] },
  )
  fc.assert(
    fc.property(arbitrary, (original) => {
      expect(decodeEnvelope(encodeEnvelope(original))).toEqual({ ...original })
    }),
  )
})

test('whatever text comes, it is read or refused with ERR_ENVELOPE_INVALID', () => {
  const tryIt = (text: string) => {
    try {
      decodeEnvelope(text)
    } catch (error) {
      expect(error).toBeInstanceOf(EnvelopeError)
      expect(error).toHaveProperty('code', 'ERR_ENVELOPE_INVALID')
    }
  }
  fc.assert(fc.property(fc.string(), tryIt))
  fc.assert(fc.property(fc.json(), tryIt))
  const attribute = fc.constantFrom(...Object.keys(envelope), 'traceparent', 'correlationid')
  fc.assert(fc.property(attribute, fc.jsonValue(), (name, value) => tryIt(JSON.stringify({ ...envelope, [name]: value }))))
  fc.assert(fc.property(fc.nat(), (length) => tryIt(encodeEnvelope(envelope).slice(0, length % encodeEnvelope(envelope).length))))
})

test.each([
  ['not json', 'it is not JSON'],
  ['[]', 'it is not a JSON object'],
  ['null', 'it is not a JSON object'],
  ['{}', '"specversion" is undefined, wanted "1.0"'],
])('%s: %s', (text, message) => {
  expect(() => decodeEnvelope(text)).toThrow(`cannot read an event envelope: ${message}`)
})

test.each([
  ['specversion', '0.3', '"specversion" is "0.3", wanted "1.0"'],
  ['id', '', '"id" is "", wanted a text'],
  ['source', 7, '"source" is 7, wanted a text'],
  ['type', null, '"type" is null, wanted a text'],
  ['subject', undefined, '"subject" is undefined, wanted a text'],
  ['time', 'yesterday', '"time" is "yesterday", wanted RFC 3339'],
  ['time', '1', '"time" is "1", wanted RFC 3339'],
  ['time', 'Jan 1 2026', '"time" is "Jan 1 2026", wanted RFC 3339'],
  ['time', '2026-13-01T00:00:00Z', '"time" is "2026-13-01T00:00:00Z", wanted RFC 3339'],
  ['datacontenttype', 'text/xml', '"datacontenttype" is "text/xml", wanted "application/json"'],
  ['traceparent', 7, '"traceparent" is not a text'],
])('an envelope whose %s is %o is refused: %s', (name, value, message) => {
  expect(() => decodeEnvelope(JSON.stringify({ ...envelope, [name]: value }))).toThrow(message)
})

test.each(['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.123456+02:00', '2026-01-01t00:00:00z'])('the time %s is fine', (time) => {
  expect(decodeEnvelope(JSON.stringify({ ...envelope, time })).time).toBe(time)
})

test('an envelope that leaves out datacontenttype holds JSON', () => {
  const { datacontenttype, ...rest } = envelope
  expect(decodeEnvelope(JSON.stringify(rest))).toEqual({ ...rest, datacontenttype })
})

test.each([
  ['order.placed/2', 2],
  ['https://schemas.example/order.placed/17', 17],
  ['order.placed', 1],
  ['order.placed/', 1],
  ['order.placed/0', 1],
  ['order.placed/1.5', 1],
  ['order.placed/1e3', 1],
  ['order.placed/0x10', 1],
  ['7', 1],
])('the schema %s is version %i', (dataschema, version) => {
  expect(schemaVersion({ ...envelope, dataschema })).toBe(version)
})

test('an attribute that is null is one that is not there, as the JSON format has it', () => {
  const unset = { traceparent: null, tracestate: null, correlationid: null, causationid: null, datacontenttype: null, other: null }
  expect(decodeEnvelope(JSON.stringify({ ...envelope, ...unset }))).toEqual(envelope)
  expect(decodeEnvelope(JSON.stringify({ ...envelope, data: null })).data).toBeNull()
  expect(() => decodeEnvelope(JSON.stringify({ ...envelope, id: null }))).toThrow('"id" is')
})

test('JSON is JSON however its type is written', () => {
  for (const datacontenttype of ['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset="UTF-8"']) {
    expect(decodeEnvelope(JSON.stringify({ ...envelope, datacontenttype }))).toEqual(envelope)
  }
  for (const datacontenttype of ['application/jsonx', 'text/plain; x=application/json', '']) {
    expect(() => decodeEnvelope(JSON.stringify({ ...envelope, datacontenttype }))).toThrow('"datacontenttype" is')
  }
})
