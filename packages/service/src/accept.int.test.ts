import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Server } from 'node:net'
import { api, silentLogger } from '@banyan/core'
import { expect, test } from 'vitest'
import { framed } from './framed-server.ts'
import { serve } from './serve.ts'
import { service } from './service.ts'

/** Where Node tells which servers have begun to listen. */
const LISTENING = 'tracing:net.server.listen:asyncEnd'

test('a connection that the system cannot give ends nothing, and is told of', async () => {
  const servers: Server[] = []
  // What Node publishes there.
  const note = (message: unknown) => void servers.push((message as { server: Server }).server)
  const warnings: string[] = []
  const it = service('shelf', { log: { ...silentLogger, warn: (_, text) => void warnings.push(text) } })
  it.use(serve(api('shelf', { operations: { get: { method: 'GET', path: '/shelf' } } }), { get() {} }))
  it.use(framed())
  subscribe(LISTENING, note)
  const { url } = await it.start()
  unsubscribe(LISTENING, note)
  expect(servers).toHaveLength(2)
  // As Node does it when accept(2) fails. Twice: whoever waited for the start may still have heard the first one.
  for (const server of [...servers, ...servers]) server.emit('error', new Error('accept ENOBUFS'))
  const warning = (what: string) => `a ${what} to "shelf" could not be accepted: accept ENOBUFS`
  const both = [warning('connection'), warning('framed connection')]
  expect(warnings.sort()).toEqual([...both, ...both].sort())
  expect((await fetch(`${url}/shelf`)).status).toBe(204)
  await it.stop()
})
