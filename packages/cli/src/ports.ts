import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { codeOf, messageOf, systemWorld, type World } from '@banyan/core'
import { CliError } from './errors.ts'

/**
 * Below what Linux (32,768 on), macOS and Windows (49,152 on) give to outgoing connections and to whoever listens on port 0. So nobody
 * takes the port before its owner listens, nor while its owner is being restarted.
 */
const FIRST = 20_000
const LAST = 32_767
const ATTEMPTS = 50

/** What this process has given away: a port is free until its owner listens, and two may ask before one does. */
const given = new Set<number>()

/** A port of 127.0.0.1 that nobody uses at this moment and that the system gives to nobody by itself. */
export async function freePort(world: World = systemWorld): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = FIRST + Math.floor(world.random() * (LAST - FIRST + 1))
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  // A machine this full has better knowledge of its own ports.
  return tryPort(0)
}

/**
 * The port itself, or a free one for 0. Looked at before anything is started, so that the message is one line.
 *
 * @param user what wants it, for the message
 * @throws {CliError} `ERR_PORT_TAKEN`
 */
export async function takePort(port: number, user: string): Promise<number> {
  if (port === 0) return freePort()
  try {
    return await tryPort(port)
  } catch (cause) {
    const why = codeOf(cause) === 'EADDRINUSE' ? 'another program listens there' : messageOf(cause)
    throw new CliError('ERR_PORT_TAKEN', `cannot listen on 127.0.0.1:${port} for ${user}: ${why}; end it, or choose another port`, {
      cause,
    })
  }
}

async function isFree(port: number): Promise<boolean> {
  try {
    await tryPort(port)
    return true
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') return false
    throw error
  }
}

function tryPort(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      // It listens on TCP, so its address is never a pipe's name.
      const { port: bound } = server.address() as AddressInfo
      server.close(() => resolve(bound))
    })
  })
}
