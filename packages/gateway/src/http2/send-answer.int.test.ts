import { once } from 'node:events'
import { connect, constants } from 'node:http2'
import { Readable } from 'node:stream'
import { systemWorld } from '@banyan/core'
import { expect, it, onTestFinished } from 'vitest'
import type { GatewayResponse } from '../exchange.ts'
import { http2Origin } from '../test/http2-origin.ts'
import { sendAnswer } from './send-answer.ts'

/** What a client gets where Node insists on fields that come once, as its older versions do. */
async function strictly(answer: () => GatewayResponse) {
  const { url } = await http2Origin(
    (stream) => void sendAnswer(answer(), { stream, method: 'GET', idleTimeoutMs: 1_000, world: systemWorld }),
  )
  const session = connect(url)
  onTestFinished(() => session.destroy())
  const stream = session.request()
  const [head] = await once(stream, 'response')
  let text = ''
  for await (const part of stream.setEncoding('utf8')) text += part
  return { status: head[':status'], text }
}

const twice = ['age', '1', 'age', '2']

it('trailers that Node does not send are left out', async () => {
  const body = () => Readable.from([Buffer.from('all')])
  expect(await strictly(() => ({ status: 200, headers: [], body: body(), trailers: () => twice }))).toEqual({ status: 200, text: 'all' })
})

it('an answer with a head that Node does not send becomes a problem, and its body is let go', async () => {
  const body = new Readable({ read() {} })
  const { status, text } = await strictly(() => ({ status: 200, headers: twice, body, trailers: () => twice }))
  expect([status, JSON.parse(text), body.destroyed]).toMatchObject([502, { code: 'ERR_UPSTREAM_INVALID' }, true])
})

it('a large answer at hand of which the client takes nothing is reset', async () => {
  const { url } = await http2Origin((stream) => {
    const answer = { status: 200, headers: [], body: Buffer.alloc(1_000_000) }
    void sendAnswer(answer, { stream, method: 'GET', idleTimeoutMs: 200, world: systemWorld })
  })
  const session = connect(url)
  onTestFinished(() => session.destroy())
  const stream = session.request().on('error', () => undefined)
  await once(stream, 'response')
  await new Promise((resolve) => stream.once('close', resolve))
  expect(stream.rstCode).toBe(constants.NGHTTP2_INTERNAL_ERROR)
})
