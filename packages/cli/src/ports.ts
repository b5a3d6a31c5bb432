import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { codeOf, messageOf } from '@banyan/core'
import { CliError } from './errors.ts'

/** A port of 127.0.0.1 that nobody uses at this moment. */
export function freePort(): Promise<number> {
  return tryPort(0)
}

/**
 * The port itself, or a free one for 0. Looked at before anything is started, so that the message is one line.
 *
 * @param user what wants it, for the message
 * @throws {CliError} `ERR_PORT_TAKEN`
 */
export async function takePort(port: number, user: string): Promise<number> {
  try {
    return await tryPort(port)
  } catch (cause) {
    const why = codeOf(cause) === 'EADDRINUSE' ? 'another program listens there' : messageOf(cause)
    throw new CliError('ERR_PORT_TAKEN', `cannot listen on 127.0.0.1:${port} for ${user}: ${why}; end it, or choose another port`, {
      cause,
    })
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
