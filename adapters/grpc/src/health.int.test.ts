import type { Component } from '@banyan/core'
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { NO_PROXY, startStock } from './test/stock.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

// grpc.health.v1, by hand: one text, one number.
const ask = (service: string) => Buffer.concat([Buffer.from([0x0a, Buffer.byteLength(service)]), Buffer.from(service)])
const read = (answer: Buffer) => ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'][answer[1] ?? 0]
const same = (buffer: Buffer) => buffer

async function opened(extra?: Component) {
  const started = await startStock({ healthPollMs: 20, ...(extra && { extra }), service: { drainMs: 300 } })
  const raw = new Client(`127.0.0.1:${started.port}`, credentials.createInsecure(), NO_PROXY)
  open.push({ close: () => started.stock.stop() }, raw)
  const check = (service: string) =>
    new Promise<string | undefined>((resolve, reject) => {
      raw.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, ask(service), (error, answer) => {
        if (error) reject(error)
        else resolve(read(answer as Buffer))
      })
    })
  const watch = (service: string) => {
    const seen: (string | undefined)[] = []
    const ended = Promise.withResolvers<void>()
    const stream = raw.makeServerStreamRequest('/grpc.health.v1.Health/Watch', same, same, ask(service))
    stream.on('data', (answer: Buffer) => seen.push(read(answer)))
    stream.on('error', () => ended.resolve())
    stream.on('end', () => ended.resolve())
    return { seen, ended: ended.promise, stop: () => stream.cancel() }
  }
  return { ...started, check, watch }
}

test('health is the readiness of the service, by the name of the contract and for the whole', async () => {
  let healthy = true
  const part: Component = { name: 'part', start: async () => {}, stop: async () => {}, health: async () => ({ healthy }) }
  const { check, watch } = await opened(part)
  expect([await check(''), await check('stock.v1.Stock')]).toEqual(['SERVING', 'SERVING'])
  const whole = watch('')
  await expect.poll(() => whole.seen).toEqual(['SERVING'])
  healthy = false
  await expect.poll(() => whole.seen).toEqual(['SERVING', 'NOT_SERVING'])
  expect(await check('stock.v1.Stock')).toBe('NOT_SERVING')
  healthy = true
  await expect.poll(() => whole.seen).toEqual(['SERVING', 'NOT_SERVING', 'SERVING'])
  whole.stop()
})

test('a name that is not served is NOT_FOUND to a check, and unknown to who watches', async () => {
  const { check, watch } = await opened()
  await expect(check('other.v1.Other')).rejects.toMatchObject({ code: status.NOT_FOUND } satisfies Partial<ServiceError>)
  const { seen } = watch('other.v1.Other')
  await expect.poll(() => seen).toEqual(['SERVICE_UNKNOWN'])
})

test('at a stop who watches hears of it before the port closes, and no stream holds it up', async () => {
  const { stock, watch, check } = await opened()
  const { seen, ended } = watch('stock.v1.Stock')
  await expect.poll(() => seen).toEqual(['SERVING'])
  const stopped = stock.stop()
  await expect.poll(() => seen).toEqual(['SERVING', 'NOT_SERVING'])
  expect(await check('')).toBe('NOT_SERVING')
  await ended
  await stopped
})
