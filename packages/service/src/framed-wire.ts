// How requests and answers stand on a framed connection. Every frame: the length of what follows (4 bytes), its kind (1), the call
// it belongs to (4; 0 where it belongs to none), and what the kind says. Numbers are big-endian, texts UTF-8.
import { messageOf } from '@banyan/core'
import type { TransportRequest, TransportResponse } from './transport.ts'

/** What a frame is. `request` and `response`: the length of the head (4 bytes), the head as JSON, the body. */
export const KIND = {
  /** Each side's first frame, as JSON: see {@link Hello}. */
  hello: 1,
  /** From the client. Head: `[method, path, headers]`. */
  request: 2,
  /** From the server. Head: `[status, headers]`. */
  response: 3,
  /** From the client: nobody waits for this call any more. */
  cancel: 4,
  /** From the server: there is no answer to this call; a text says why. */
  failed: 5,
  /** From the server: no new calls, please; those on their way are answered. */
  leaving: 6,
  /** Whether the other side is there still; to be answered by `pong`. */
  ping: 7,
  pong: 8,
} as const

export type Kind = (typeof KIND)[keyof typeof KIND]

/** The bytes of length, kind and call. */
export const FRAME_HEAD_BYTES = 9

/** Where the head begins in the content of a frame: behind its length. */
export const HEAD_START = 4

/** Room for method, path and headers beside a body of the largest size; Node's HTTP server takes 16 KiB of them. */
export const HEAD_ROOM_BYTES: number = 64 * 1024

/** The key of an instance's meta that says on which port it takes frames. */
export const FRAMED_PORT_META = 'framed-port'

const PROTOCOL = 'banyan-framed/1'

/** What the two sides tell each other first. */
export interface Hello {
  /** The service that is wanted, or that answers. */
  readonly service: string
  /** Larger frames are not taken, bytes. */
  readonly maxFrameBytes: number
}

/** The other side does not keep to the protocol; nothing more can be read from its connection. */
export class FrameError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'FrameError'
  }
}

/** A hello as its frame's content. */
export function helloText({ service, maxFrameBytes }: Hello): string {
  return JSON.stringify([PROTOCOL, service, maxFrameBytes])
}

/** @throws {FrameError} for anything but a hello of this version */
export function readHello(content: Buffer): Hello {
  const hello = parse('a hello', content.toString())
  if (!Array.isArray(hello) || hello[0] !== PROTOCOL) throw new FrameError(`the hello is none of ${PROTOCOL}`)
  const [, service, maxFrameBytes] = hello
  if (typeof service !== 'string' || service === '') throw new FrameError('the hello names no service')
  if (!Number.isInteger(maxFrameBytes) || maxFrameBytes < FRAME_HEAD_BYTES) throw new FrameError('the hello names no largest frame')
  return { service, maxFrameBytes }
}

/** The head of a request. Left out is what the server knows by itself. */
export function requestHead({ method, path, headers }: TransportRequest): string {
  return JSON.stringify([method, path, headers])
}

export type FramedRequest = Pick<TransportRequest, 'method' | 'path' | 'headers' | 'body'>

/** The head of a request, read and checked; frozen. @throws {FrameError} */
export function readRequestHead(text: string): Omit<FramedRequest, 'body'> {
  const head = parse('a head', text)
  if (!Array.isArray(head) || head.length !== 3) throw new FrameError('the head of a request is not [method, path, headers]')
  const [method, path, headers] = head
  if (typeof method !== 'string' || !/^[A-Z]{1,20}$/.test(method)) throw new FrameError('the method of a request is none')
  if (typeof path !== 'string' || !/^\/[\x21-\x7e]*$/.test(path)) throw new FrameError('the path of a request is none')
  return Object.freeze({ method, path, headers: checkHeaders(headers) })
}

export function responseHead({ status, headers }: Omit<TransportResponse, 'body'>): string {
  return JSON.stringify([status, headers])
}

/** The head of an answer, read and checked; frozen. @throws {FrameError} */
export function readResponseHead(text: string): Omit<TransportResponse, 'body'> {
  const head = parse('a head', text)
  if (!Array.isArray(head) || head.length !== 2) throw new FrameError('the head of an answer is not [status, headers]')
  const [status, headers] = head
  if (!Number.isInteger(status) || status < 100 || status > 599) throw new FrameError('the status of an answer is none')
  return Object.freeze({ status, headers: checkHeaders(headers) })
}

/** Where the head of a frame ends and its body begins. @throws {FrameError} */
export function headEnd(content: Buffer): number {
  if (content.length < HEAD_START) throw new FrameError('a frame ends before its head begins')
  const end = HEAD_START + content.readUInt32BE(0)
  if (end > content.length) throw new FrameError('a frame ends before its head does')
  return end
}

function parse(what: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new FrameError(`${what} is not JSON: ${messageOf(error)}`)
  }
}

/** As over HTTP: lower-case names, values without line breaks. */
function checkHeaders(headers: unknown): Record<string, string> {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) throw new FrameError('the headers are none')
  for (const name in headers) {
    const value: unknown = (headers as Record<string, unknown>)[name]
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) throw new FrameError(`the header ${JSON.stringify(name)} has a name that is none`)
    if (typeof value !== 'string' || /[\r\n\0]/.test(value)) throw new FrameError(`the header "${name}" has a value that is none`)
  }
  return Object.freeze(headers) as Record<string, string>
}
