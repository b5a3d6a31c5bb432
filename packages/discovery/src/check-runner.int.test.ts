import { createServer, type ServerResponse } from 'node:http'
import { manualWorld, silentLogger } from '@banyan/core'
import { expect, onTestFinished, test, vi } from 'vitest'
import { checkRunner } from './check-runner.ts'
import { readRegistration } from './registry-input.ts'
import { after, emptyRegistry } from './registry-state.ts'

test('a check that was under way while the process stood still is run again, and says nothing of its target', async () => {
  const asked: ServerResponse[] = []
  const target = createServer((_request, response) => void asked.push(response))
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  const { port } = target.address() as { port: number } // it listens on TCP
  let clock = 0
  const due: (() => void)[] = []
  const world = {
    ...manualWorld(),
    monotonic: () => clock,
    after: (_delayMs: number, fire: () => void) => ({ cancel() {}, at: due.push(fire) }),
  }
  const statuses: string[] = []
  const runner = checkRunner({ world, log: silentLogger, report: (_check, { status }) => void statuses.push(status) })
  onTestFinished(async () => {
    await runner.stop()
    target.closeAllConnections()
    target.close()
  })
  const Check = { HTTP: `http://127.0.0.1:${port}/`, Interval: '10s', Timeout: '5s' }
  runner.sync(after(emptyRegistry, { type: 'register', ...readRegistration({ Name: 'web', Check }) }, 0))
  due.shift()?.()
  await vi.waitUntil(() => asked.length === 1)
  // Its timer comes a minute late, and before the answer that has been there for as long is read.
  clock += 60_000
  due.shift()?.()
  await vi.waitUntil(() => due.length === 1)
  due.shift()?.()
  await vi.waitUntil(() => asked.length === 2)
  asked[1]?.end('well')
  await vi.waitUntil(() => statuses.length > 0)
  expect(statuses).toEqual(['passing'])
})
