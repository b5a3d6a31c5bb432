import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { manualWorld } from '@banyan/core'
import { afterEach, expect, test, vi } from 'vitest'
import { type EtcdAuth, etcdHttp } from './etcd-http.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A member that notes what it is asked for, and answers with `answer` or not at all. */
async function member(answer?: object) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    if (answer) response.end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } // it listens on TCP
}

/** A client of two members, of which the first never answers. */
async function setUp(auth?: EtcdAuth) {
  const world = manualWorld()
  const [silent, living] = [await member(), await member({ token: 'known' })]
  const http = etcdHttp({ urls: [silent.url, living.url], tls: undefined, auth, world })
  cleanups.push(() => http.close())
  const ask = () => http.call('/v3/kv/range', {}, { timeoutMs: 5_000 })
  return { world, silent, living, ask }
}

test('several questions that a member leaves unanswered move on to the next member, and not past it', async () => {
  const { world, silent, living, ask } = await setUp()
  const both = Promise.allSettled([ask(), ask()])
  await vi.waitUntil(() => silent.asked.length === 2)
  await world.advance(5_000)
  await both
  void ask().catch(() => {})
  await vi.waitUntil(() => silent.asked.length + living.asked.length === 3)
  expect(living.asked).toEqual(['/v3/kv/range'])
})

test('a sign-in that is not answered counts against its member once, not again for the question that it was for', async () => {
  const { world, silent, living, ask } = await setUp({ user: 'shop', password: 'secret' })
  const first = Promise.allSettled([ask()])
  await vi.waitUntil(() => silent.asked.length === 1)
  await world.advance(5_000)
  await first
  void ask().catch(() => {})
  await vi.waitUntil(() => silent.asked.length === 2 || living.asked.length === 2)
  expect(living.asked).toEqual(['/v3/auth/authenticate', '/v3/kv/range'])
})
