import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { otlpSpans } from './otlp.ts'
import { type TraceCollector, traceCollector } from './trace-collector.ts'

let collector: TraceCollector
beforeEach(async () => {
  collector = await traceCollector(2)
})
afterEach(() => collector.stop())

function exported(traceId: string, name: string, startMs: number) {
  const span = {
    traceId,
    spanId: `${name}-id`,
    name,
    startTimeUnixNano: `${startMs}500000`,
    endTimeUnixNano: `${startMs + 5}500000`,
    attributes: [{ key: 'banyan.service', value: { stringValue: 'orders' } }],
    status: { code: 2 },
  }
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'core' } }] }
  return { resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] }
}

const send = (body: string) => fetch(`${collector.url}/v1/traces`, { method: 'POST', body })

describe('the trace collector', () => {
  it('gives the spans of a trace in the order of their start', async () => {
    await send(JSON.stringify(exported('t1', 'second', 1_767_225_600_100)))
    await send(JSON.stringify(exported('t1', 'first', 1_767_225_600_000)))
    expect(collector.spans('t1').map(({ name }) => name)).toEqual(['first', 'second'])
    expect(collector.spans('t1')[0]).toMatchObject({ service: 'orders', startMs: 1_767_225_600_000.5, durationMs: 5, failed: true })
  })

  it('lets the oldest trace go', async () => {
    for (const traceId of ['t1', 't2', 't3']) await send(JSON.stringify(exported(traceId, 'a', 1_767_225_600_000)))
    expect(collector.spans('t1')).toEqual([])
    expect(collector.spans('t3')).toHaveLength(1)
  })

  it('keeps no more of one trace than it was told to, the newest', async () => {
    const small = await traceCollector(2, 3)
    for (let n = 0; n < 5; n += 1)
      await fetch(`${small.url}/v1/traces`, { method: 'POST', body: JSON.stringify(exported('t1', `s${n}`, 1_767_225_600_000 + n)) })
    expect(small.spans('t1').map(({ name }) => name)).toEqual(['s2', 's3', 's4'])
    await small.stop()
  })

  it('answers 400 to what is not JSON, and goes on', async () => {
    expect((await send('{')).status).toBe(400)
    expect((await send(JSON.stringify(exported('t1', 'a', 1_767_225_600_000)))).status).toBe(200)
  })

  it('reads any JSON without falling over', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => Array.isArray(otlpSpans(value))))
  })
})
