import { silentLogger } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Gateway, gateway } from './gateway.ts'
import { answerOf, type CorpusTarget, corpusCases, corpusUpstream, observeCase, runCase } from './test/corpus.ts'

// The bad-input corpus: one file a case in packages/gateway/corpus/. See its README.

let running: Gateway
let target: CorpusTarget

beforeAll(async () => {
  const upstream = await corpusUpstream()
  running = gateway({
    config: { headers_timeout_ms: 1_000, routes: [{ path: '/', service: 'a', retries: 0 }], breaker: { minimum_calls: 1_000_000 } },
    registry: staticRegistry({ a: [`127.0.0.1:${upstream.port}`] }),
    host: '127.0.0.1',
    port: 0,
    log: silentLogger,
  })
  const { port } = await running.start()
  target = { port, upstream, check: (raw) => problemFaults(raw, upstream.port) }
})
afterAll(async () => {
  await running.stop()
  target.upstream.close()
})

/** A refusal is a problem with a code, and tells nothing of what is behind. */
function problemFaults(raw: string, upstreamPort: number): string[] {
  if (!/^HTTP\/1\.1 [45]/.test(raw)) return []
  const faults = raw.includes('"code":"ERR_') ? [] : ['the refusal has no code']
  return /node:|\.ts:|at .*\(/.test(raw) || raw.includes(String(upstreamPort)) ? [...faults, 'the refusal shows the inside'] : faults
}

it('has sixty cases and more', () => expect(corpusCases().length).toBeGreaterThanOrEqual(60))

it.each(corpusCases().map((one) => [one.name, one.about, one] as const))('%s: %s', async (_, __, one) => {
  expect(await runCase(one, target)).toEqual([])
})

it('finds what is wrong: a case turned round fails', async () => {
  const [refused] = corpusCases().filter(({ name }) => name === 'request-two-hosts')
  const [forwarded] = corpusCases().filter(({ name }) => name === 'forwarded-dot-segments')
  if (!refused || !forwarded) throw new Error('wanted both cases')
  expect(await runCase({ ...refused, client: { status: [200] }, upstream: { target: '/' } }, target)).toHaveLength(2)
  expect(await runCase({ ...forwarded, upstream: 'none', client: { body: 'other', cut: true } }, target)).toHaveLength(3)
})

it('tells a connection that is kept from one that closes', async () => {
  const [closes] = corpusCases().filter(({ name }) => name === 'forwarded-query-byte-for-byte')
  if (!closes) throw new Error('wanted the case')
  const keeps = { ...closes, request: closes.request.replace('Connection: close\r\n', '') }
  const [kept, closed] = [await observeCase(keeps, target), await observeCase(closes, target)]
  expect([kept.isOpen, closed.isOpen]).toEqual([true, false])
  for (const { raw } of [kept, closed]) expect(answerOf(raw, false)).toEqual({ status: 200, body: 'ok' })
})
