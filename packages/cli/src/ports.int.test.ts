import { once } from 'node:events'
import { createServer } from 'node:net'
import { manualWorld } from '@banyan/core'
import { expect, it, vi } from 'vitest'
import { freePort, takePort } from './ports.ts'

it('gives ports that the system gives to nobody: below those of outgoing connections', async () => {
  const ports = await Promise.all(Array.from({ length: 40 }, () => freePort()))
  expect(new Set(ports).size).toBe(40)
  for (const port of ports) expect(port >= 20_000 && port <= 32_767).toBe(true)
})

it('passes over a port that somebody uses, and one it has given already', async () => {
  const first = await freePort()
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const used = await freePort()
  const other = createServer().listen(used, '127.0.0.1')
  await once(other, 'listening')
  const world = manualWorld()
  const at = (port: number) => (port - 20_000 + 0.5) / 12_768
  const random = vi.spyOn(world, 'random').mockReturnValueOnce(at(first)).mockReturnValueOnce(at(used))
  const port = await freePort(world)
  expect(random.mock.calls.length).toBeGreaterThanOrEqual(3)
  expect([first, used]).not.toContain(port)
  for (const server of [taken, other]) server.close()
})

it('takes the port it is told, a free one for 0, and says who wanted a taken one', async () => {
  const port = await takePort(0, 'the gateway')
  expect(await takePort(port, 'the gateway')).toBe(port)
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  await expect(takePort(port, 'the gateway')).rejects.toThrow(
    `cannot listen on 127.0.0.1:${port} for the gateway: another program listens there; end it, or choose another port`,
  )
  server.close()
})
