import { connect, type Socket } from 'node:net'
import { settingsOfContestant, tell } from '../contestant.ts'

// Blocking queries, each on a connection of its own, held until something changes: npm run bench -- registry starts it.

export interface HeldTask {
  readonly url: string
  readonly queries: number
}

export interface HeldResult {
  readonly answered: number
  /** From the change to the last answer, milliseconds. */
  readonly lastMs: number
}

/** Connections opened at the same time. */
const AT_ONCE = 200

const { url, queries } = settingsOfContestant<HeldTask>()
const { port } = new URL(url)
const first = await fetch(`${url}/v1/health/service/held`)
await first.text()
const index = first.headers.get('x-consul-index') ?? '0'
const question = `GET /v1/health/service/held?index=${index}&wait=10m HTTP/1.1\r\nhost: registry\r\n\r\n`
let answered = 0
let allAnswered = () => {}
const sockets: Socket[] = []
while (sockets.length < queries)
  sockets.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, queries - sockets.length) }, ask))))
await tell('holding', sockets.length)
await new Promise((resolve) => process.once('message', resolve))
const done = new Promise<void>((resolve) => {
  allAnswered = resolve
})
const changedAt = performance.now()
const body = JSON.stringify({ ID: 'held-1', Name: 'held', Port: 1 })
await (await fetch(`${url}/v1/agent/service/register`, { method: 'PUT', body })).text()
await done
await tell('result', { answered, lastMs: performance.now() - changedAt } satisfies HeldResult)
process.exit(0)

function ask(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(port), host: '127.0.0.1' }, () => socket.write(question, () => resolve(socket)))
    socket.once('error', reject)
    socket.once('data', (answer) => {
      if (!answer.toString('latin1').startsWith('HTTP/1.1 200')) throw new Error(`the registry answered ${answer}`)
      answered += 1
      if (answered === queries) allAnswered()
    })
  })
}
