import type { Server } from 'node:http'
import { codeOf, messageOf } from '@banyan/core'
import { GatewayError } from './errors.ts'

/**
 * A socket that listens, as processes hand it to each other (`process.send(message, socket)`): the connections that wait in it belong to
 * whoever takes it over, so that none is lost when a process ends, or is killed, and another takes its place.
 */
export type ListeningSocket = object

/** Where a server listens. */
export interface ListenPlace {
  /** `undefined` for all addresses. */
  readonly host: string | undefined
  /** 0 for any free one. */
  readonly port: number
  /** Others may listen there too, as far as they say so; the system spreads the connections. Linux. */
  readonly reusePort: boolean
  /** In place of all of the above: one that listens already. */
  readonly socket: ListeningSocket | undefined
}

/** Resolves when `server` listens. @throws {GatewayError} `ERR_PORT_TAKEN` */
export function listen(server: Server, place: ListenPlace): Promise<void> {
  const { host, port, reusePort, socket } = place
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => reject(listenError(cause, place))
    const onListening = () => {
      server.off('error', onError)
      resolve()
    }
    server.once('error', onError)
    // Node takes what another process sent under this name only.
    if (socket) server.listen({ _handle: socket }, onListening)
    else server.listen({ port, ...(host !== undefined && { host }), ...(reusePort && { reusePort }) }, onListening)
  })
}

/** The socket of a server that listens, to be sent to another process. */
export function socketOf(server: Server): ListeningSocket | undefined {
  // Not in Node's types, but what its own cluster module sends.
  return (server as unknown as { readonly _handle?: ListeningSocket })._handle
}

function listenError(cause: Error, { host, port, reusePort }: ListenPlace): GatewayError {
  const where = host === undefined ? `port ${port}` : `${host}:${port}`
  const reason =
    codeOf(cause) === 'EADDRINUSE'
      ? 'another program has it; stop that one or choose another port'
      : reusePort && codeOf(cause) === 'ENOTSUP'
        ? 'several processes cannot listen there on this system'
        : messageOf(cause)
  return new GatewayError('ERR_PORT_TAKEN', `cannot listen on ${where}: ${reason}`, { cause })
}
