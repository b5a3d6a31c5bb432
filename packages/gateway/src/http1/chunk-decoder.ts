import type { HeaderList } from '../headers.ts'
import { parseFields, quoted, UncleanError } from './response-head.ts'

/** A chunk's size line, extensions included, bytes. */
const MAX_LINE = 256
/** All trailer fields together, bytes. */
const MAX_TRAILERS = 16_384
/** 13 hexadecimal digits: below 2^53. Extensions are let in and forgotten. */
const SIZE_LINE = /^([0-9a-fA-F]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n$/
/** What says how a message is framed, routed or handled must not come behind it. */
const NEVER_TRAILERS =
  /^(?:authorization|cache-control|connection|content-encoding|content-length|content-range|content-type|host|set-cookie|te|trailer|transfer-encoding|upgrade)$/i

type State =
  | { readonly kind: 'size' | 'trailers' | 'done' }
  | { readonly kind: 'data'; readonly left: number }
  /** `left`: of the CRLF behind a chunk's data. */
  | { readonly kind: 'data-end'; readonly left: 1 | 2 }

const SIZE: State = { kind: 'size' }
const TRAILERS: State = { kind: 'trailers' }
const DONE: State = { kind: 'done' }

/**
 * Takes the chunks apart that a body comes in. Strict: a size is hexadecimal digits and nothing else, each line ends in CRLF.
 *
 * @see RFC 9112, section 7.1
 */
export class ChunkDecoder {
  #state: State = SIZE
  /** What has come of a line, or of the trailers. */
  #text = ''
  #trailers: HeaderList = []

  /** The trailer fields, once all is read. */
  get trailers(): HeaderList {
    return this.#trailers
  }

  /**
   * Reads on from `offset`; data goes to `onData` as it comes, not copied.
   *
   * @returns the offset behind the body's last byte, or -1 while more is to come
   * @throws {UncleanError}
   */
  read(bytes: Buffer, offset: number, onData: (data: Buffer) => void): number {
    let at = offset
    while (at < bytes.length && this.#state.kind !== 'done') at = this.#step(bytes, at, this.#state, onData)
    return this.#state.kind === 'done' ? at : -1
  }

  #step(bytes: Buffer, offset: number, state: State, onData: (data: Buffer) => void): number {
    switch (state.kind) {
      case 'size':
        return this.#readSize(bytes, offset)
      case 'data':
        return this.#readData(bytes, offset, state.left, onData)
      case 'data-end':
        return this.#readDataEnd(bytes, offset, state.left)
      default:
        return this.#readTrailers(bytes, offset)
    }
  }

  #readSize(bytes: Buffer, offset: number): number {
    const next = this.#takeLine(bytes, offset, MAX_LINE)
    if (next < 0) return bytes.length
    const size = SIZE_LINE.exec(this.#text)?.[1]
    if (size === undefined) throw new UncleanError(`the size of a chunk is ${quoted(this.#text)}`)
    this.#text = ''
    const left = Number.parseInt(size, 16)
    this.#state = left === 0 ? TRAILERS : { kind: 'data', left }
    return next
  }

  #readData(bytes: Buffer, offset: number, left: number, onData: (data: Buffer) => void): number {
    const to = Math.min(bytes.length, offset + left)
    const rest = left - (to - offset)
    this.#state = rest === 0 ? { kind: 'data-end', left: 2 } : { kind: 'data', left: rest }
    onData(bytes.subarray(offset, to))
    return to
  }

  #readDataEnd(bytes: Buffer, offset: number, left: 1 | 2): number {
    if (bytes[offset] !== (left === 2 ? 13 : 10)) throw new UncleanError('a chunk is longer or shorter than its size')
    this.#state = left === 2 ? { kind: 'data-end', left: 1 } : SIZE
    return offset + 1
  }

  /** Line by line; an empty one ends them. */
  #readTrailers(bytes: Buffer, offset: number): number {
    const next = this.#takeLine(bytes, offset, MAX_TRAILERS)
    if (next < 0) return bytes.length
    if (this.#text !== '\r\n' && !this.#text.endsWith('\r\n\r\n')) return next
    this.#trailers = checked(parseFields(this.#text.slice(0, -2), 0))
    this.#state = DONE
    return next
  }

  /** Adds the bytes up to the end of the line, or all there are. @returns the offset behind the line, or -1 */
  #takeLine(bytes: Buffer, offset: number, max: number): number {
    const end = bytes.indexOf(10, offset)
    const to = end < 0 ? bytes.length : end + 1
    if (this.#text.length + to - offset > max) throw new UncleanError(`lines of its chunked body have more than ${max} bytes`)
    this.#text += bytes.toString('latin1', offset, to)
    if (end < 0) return -1
    if (!this.#text.endsWith('\r\n')) throw new UncleanError('a line of its chunked body ends without CRLF')
    return to
  }
}

function checked(fields: readonly string[]): HeaderList {
  const wrong = fields.find((name, index) => index % 2 === 0 && NEVER_TRAILERS.test(name))
  if (wrong !== undefined) throw new UncleanError(`it has a trailer field ${quoted(wrong)}`)
  return fields
}
