import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { GatewayError } from '../errors.ts'
import type { HeaderList } from '../headers.ts'
import { isToken, isValue } from '../http-grammar.ts'
import { writeSoon } from '../write-batch.ts'

export interface RequestBytes {
  readonly head: string
  readonly body: Uint8Array | Readable | undefined
  /** What the head announces; `undefined` for chunks. Of no meaning without a stream. */
  readonly length: number | undefined
  /** What goes behind chunks; asked for at their end. Default: nothing. */
  readonly trailers?: (() => HeaderList) | undefined
}

export interface RequestWriter {
  /** Whether all of it has gone to the socket. */
  readonly isDone: boolean
  /** Writes no more. */
  stop(): void
}

/** A body up to this size goes out with its head in one write: the kernel's work a write is more than that of a copy. */
const ONE_WRITE = 16_384

/**
 * Writes a request to a socket, no faster than the socket takes it.
 *
 * @param onFailure the body failed, or is not as long as its head says: the connection is of no use any more
 */
export function writeRequest(socket: Socket, bytes: RequestBytes, onFailure: (error: Error) => void): RequestWriter {
  const { head, body } = bytes
  if (body instanceof Readable) return writeStream(socket, { ...bytes, body }, onFailure)
  if (body === undefined || body.length === 0) writeSoon(() => socket.write(head, 'latin1'))
  else if (body.length <= ONE_WRITE) socket.write(head + latin1(body), 'latin1')
  else {
    socket.cork()
    socket.write(head, 'latin1')
    socket.write(body)
    socket.uncork()
  }
  return DONE
}

const DONE: RequestWriter = { isDone: true, stop() {} }

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function writeStream(
  socket: Socket,
  { head, body, length, trailers }: RequestBytes & { readonly body: Readable },
  onFailure: (error: Error) => void,
): RequestWriter {
  let isDone = false
  let left = length ?? 0
  socket.write(head, 'latin1')

  const onData = (chunk: Buffer) => {
    left -= chunk.length
    // More than announced would be read as the next request.
    if (length !== undefined && left < 0) return fail(wrongLength(length))
    const mayGoOn = length === undefined ? writeChunk(socket, chunk) : socket.write(chunk)
    if (!mayGoOn) body.pause()
  }
  const onDrain = () => body.resume()
  const onEnd = () => {
    if (length !== undefined && left > 0) return fail(wrongLength(length))
    if (length === undefined) socket.write(lastChunk(trailers?.() ?? []), 'latin1')
    isDone = true
    stop()
  }
  const onError = (error: Error) => fail(error)
  const onCut = () => fail(new GatewayError('ERR_BODY_CUT', 'the body of the request was cut short', { status: 400 }))
  function fail(error: Error): void {
    stop()
    onFailure(error)
  }
  function stop(): void {
    body.off('data', onData).off('end', onEnd).off('error', onError).off('close', onCut)
    socket.off('drain', onDrain)
  }

  socket.on('drain', onDrain)
  // 'close' comes after 'end', or without one.
  body.on('end', onEnd).on('error', onError).on('close', onCut).on('data', onData)
  return {
    get isDone() {
      return isDone
    },
    stop,
  }
}

function writeChunk(socket: Socket, chunk: Buffer): boolean {
  // An empty one would be the last.
  if (chunk.length === 0) return true
  socket.cork()
  socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
  socket.write(chunk)
  const mayGoOn = socket.write('\r\n', 'latin1')
  socket.uncork()
  return mayGoOn
}

/** The end of a body in chunks. A field that cannot be written is left out: the body has gone, and it is whole. */
function lastChunk(trailers: HeaderList): string {
  let text = '0\r\n'
  for (let index = 0; index < trailers.length; index += 2) {
    const name = trailers[index] ?? ''
    const value = trailers[index + 1] ?? ''
    if (isToken(name) && isValue(value)) text += `${name}: ${value}\r\n`
  }
  return `${text}\r\n`
}

function wrongLength(length: number): GatewayError {
  return new GatewayError('ERR_BODY_CUT', `the body of the request is not the ${length} bytes long that its head says`, { status: 400 })
}
