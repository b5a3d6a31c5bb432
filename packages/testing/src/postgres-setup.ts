import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { messageOf } from '@banyan/core'
import type { TestProject } from 'vitest/node'
import { type PostgresServer, startPostgres } from './postgres-server.ts'

/**
 * For vitest's `globalSetup`: one PostgreSQL server for the whole run, started when the first test asks for a database, and gone with the run.
 *
 * @returns how to end it
 */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  let starting: Promise<PostgresServer> | undefined

  async function answer(request: IncomingMessage): Promise<string> {
    starting ??= startPostgres()
    const server = await starting
    if (request.method !== 'DELETE') return server.database()
    await server.drop(await text(request))
    return ''
  }

  const door = createServer((request, response) => {
    answer(request).then(
      (body) => response.end(body),
      (error) => response.writeHead(500).end(messageOf(error)),
    )
  }).listen(0, '127.0.0.1')
  await once(door, 'listening')
  const address = door.address()
  if (typeof address !== 'object' || address === null) throw new Error('cannot give test databases away: the system gave no port')
  provide('banyanPostgres', `http://127.0.0.1:${address.port}`)

  return async () => {
    door.closeAllConnections()
    door.close()
    await (await starting)?.stop()
  }
}
