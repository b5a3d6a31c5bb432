import { rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { type Component, isRefusal, messageOf, sleep, systemWorld, type Transaction } from '@banyan/core'
import { participant } from '@banyan/saga'
import { crashPoint } from '@banyan/testing/crash'
import { roleOf, runRole, watched } from '../role.ts'
import { type Asked, socketOf } from './call.ts'
import { naiveGuard } from './naive-guard.ts'
import { fateOf, refusal } from './order.ts'

// A service that takes part in the sagas of another, with a database of its own. It fails, loses answers and is late by chance.

const role = roleOf()
const plain = await role.database(role.name)
const database = watched(plain)
const guard = role.broken === 'tombstone' ? naiveGuard : keyGuard
const socket = socketOf(role.folder, role.name)
const handling = new Set<Promise<void>>()

const server: Server = createServer((request, response) => {
  const done = answer(request, response).finally(() => handling.delete(done))
  handling.add(done)
})

const component: Component = {
  name: role.name,
  async start() {
    // A process that was killed has left it.
    rmSync(socket, { force: true })
    await new Promise<void>((resolve) => server.listen(socket, resolve))
  },
  async stop() {
    server.close()
    // What is late in the network comes all the same, long after its caller has given up.
    while (handling.size > 0) await Promise.all(handling)
  },
}
await runRole(component, { database: plain })

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    // The orchestrator of this example sends nothing else.
    const asked = (await json(request)) as Asked
    await network(asked)
    const answered = await database.transaction((tx) => handle(tx, asked))
    // Done, and the caller never learns of it.
    if (systemWorld.random() < 0.06) return void response.destroy()
    response.end(JSON.stringify(answered))
  } catch (error) {
    response.writeHead(503).end(JSON.stringify({ error: messageOf(error) }))
  }
}

/** Messages fail and are late. Some never come in time, however often they are sent. */
async function network({ step, kind, orderId }: Asked): Promise<void> {
  if (kind === 'do' && fateOf(role.seed, orderId, step) === 'unreachable') return sleep(systemWorld, 600 + systemWorld.random() * 2_000)
  const chance = systemWorld.random()
  if (chance < 0.06) throw new Error('no time now')
  if (chance < 0.1) await sleep(systemWorld, systemWorld.random() * 500)
}

function handle(tx: Transaction, asked: Asked): Promise<unknown> {
  const { saga, step, kind, orderId } = asked
  return guard(tx, asked, async () => {
    if (kind === 'do' && fateOf(role.seed, orderId, step) === 'refused') return refusal()
    await tx.sql`insert into effects (saga, step, kind) values (${saga}, ${step}, ${kind})`
    crashPoint('after-effect')
    return { done: step }
  })
}

async function keyGuard(tx: Transaction, { key, step, kind, orderId }: Asked, body: () => Promise<unknown>): Promise<unknown> {
  const answered =
    kind === 'do'
      ? await participant(tx, { key, operation: step, kind, fingerprint: { orderId } }, body)
      : await participant(tx, { key, operation: step, kind }, body)
  return isRefusal(answered) ? answered : { done: step }
}
