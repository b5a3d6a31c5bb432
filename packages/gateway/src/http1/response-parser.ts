import type { HeaderList } from '../headers.ts'
import { mostInterims } from '../upstream-client.ts'
import { ChunkDecoder } from './chunk-decoder.ts'
import { type BodyFraming, bodyFraming, parseHead, type ResponseHead, UncleanError } from './response-head.ts'

/** What a {@link ResponseParser} tells, in this order: interim heads, a head, data, the end; or a switch of protocols. */
export interface ResponseSink {
  /** A 1xx, but for 101. */
  onInterim(head: ResponseHead): void
  onHead(head: ResponseHead): void
  /** Parts of the bytes given to `read`, not copied. */
  onData(data: Buffer): void
  /** @param isClean false: bytes follow that belong to no answer, and the connection is not to be used again */
  onEnd(trailers: HeaderList, isClean: boolean): void
  /** A 101, and the first bytes of the new protocol. */
  onSwitch(head: ResponseHead, first: Buffer): void
}

export interface ResponseParserOptions {
  /** The largest head, bytes. Default 65,536. */
  readonly maxHeadBytes?: number
}

type State =
  | { readonly kind: 'idle' | 'switched' | 'until-close' }
  /** `text`: what has come of the head. */
  | { readonly kind: 'head'; readonly text: string; readonly interims: number }
  | { readonly kind: 'length'; readonly left: number }
  | { readonly kind: 'chunked'; readonly decoder: ChunkDecoder }

const BARE_LF = /(?<!\r)\n/g

const IDLE: State = { kind: 'idle' }
const HEAD: State = { kind: 'head', text: '', interims: 0 }

/**
 * Takes the answers of one connection apart, HTTP/1.0 and HTTP/1.1. It is strict where Node's own parser is not: a bare LF, `chunked`
 * with a tab behind it, a second length.
 *
 * @see RFC 9112
 */
export class ResponseParser {
  readonly #sink: ResponseSink
  readonly #onData: (data: Buffer) => void
  readonly #maxHeadBytes: number
  #state: State = IDLE
  #method = 'GET'
  #isUpgrade = false

  constructor(sink: ResponseSink, { maxHeadBytes = 65_536 }: ResponseParserOptions = {}) {
    this.#sink = sink
    this.#onData = (data) => sink.onData(data)
    this.#maxHeadBytes = maxHeadBytes
  }

  /** The next answer is to a request of this method. Only when none is under way. */
  expect(method: string, isUpgrade: boolean): void {
    if (this.#state.kind !== 'idle') throw new Error(`cannot expect an answer: the connection is "${this.#state.kind}", wanted "idle"`)
    this.#method = method
    this.#isUpgrade = isUpgrade
    this.#state = HEAD
  }

  /** @throws {UncleanError} for anything that two parsers could read in two ways; the connection is of no use then */
  read(bytes: Buffer): void {
    if (this.#state.kind === 'idle') throw new UncleanError('bytes came that belong to no answer')
    for (let at = 0; at < bytes.length; ) {
      const state = this.#state
      // What comes behind the end of an answer is told by onEnd, and goes nowhere.
      if (state.kind === 'idle') return
      at = this.#step(bytes, at, state)
    }
  }

  /** The other side has closed; an answer that lasts until then ends. @returns whether no answer is cut short by that */
  close(): boolean {
    if (this.#state.kind === 'until-close') this.#end([], false)
    return this.#state.kind === 'idle'
  }

  #step(bytes: Buffer, offset: number, state: State): number {
    switch (state.kind) {
      case 'head':
        return this.#readHead(bytes, offset, state)
      case 'length':
        return this.#readLength(bytes, offset, state.left)
      case 'chunked':
        return this.#readChunked(bytes, offset, state.decoder)
      case 'until-close':
        this.#sink.onData(offset === 0 ? bytes : bytes.subarray(offset))
        return bytes.length
      default:
        return bytes.length
    }
  }

  /** @returns the offset behind the head, or that of the end of the bytes while it is not whole */
  #readHead(bytes: Buffer, offset: number, before: Extract<State, { kind: 'head' }>): number {
    const known = before.text.length
    const text = before.text + bytes.toString('latin1', offset, Math.min(bytes.length, offset + this.#maxHeadBytes + 4 - known))
    // The end may lie across two reads.
    const end = text.indexOf('\r\n\r\n', Math.max(0, known - 3))
    if (end < 0) {
      this.#state = { ...before, text: this.#begunHead(text, known) }
      return bytes.length
    }
    const next = offset + end + 4 - known
    this.#takeHead(parseHead(text, end), before.interims, bytes, next)
    return this.#state.kind === 'switched' ? bytes.length : next
  }

  /** @param known how much of it has been looked at: all of it each time would make a head that comes byte by byte dear */
  #begunHead(text: string, known: number): string {
    if (text.length > this.#maxHeadBytes) throw new UncleanError(`its head is larger than ${this.#maxHeadBytes} bytes`)
    // A head that ends in other ways would be waited for until the time is over.
    BARE_LF.lastIndex = known
    if (BARE_LF.test(text)) throw new UncleanError('a line of its head ends without CRLF')
    return text
  }

  #takeHead(head: ResponseHead, interims: number, bytes: Buffer, next: number): void {
    if (head.status === 101) this.#switch(head, bytes.subarray(next))
    else if (head.status < 200) this.#interim(head, interims)
    else {
      const framing = bodyFraming(head, this.#method)
      this.#sink.onHead(head)
      this.#beginBody(framing, bytes.length === next)
    }
  }

  #interim(head: ResponseHead, interims: number): void {
    if (head.framing !== undefined) throw new UncleanError(`it has an interim answer, ${head.status}, with a body`)
    if (interims === mostInterims) throw new UncleanError(`it has more than ${mostInterims} interim answers`)
    this.#state = { kind: 'head', text: '', interims: interims + 1 }
    this.#sink.onInterim(head)
  }

  #switch(head: ResponseHead, first: Buffer): void {
    if (!this.#isUpgrade) throw new UncleanError('it switches to another protocol, and nobody has asked for that')
    this.#state = { kind: 'switched' }
    this.#sink.onSwitch(head, first)
  }

  #beginBody(framing: BodyFraming, isLast: boolean): void {
    switch (framing.kind) {
      case 'none':
        this.#end([], isLast)
        return
      case 'length':
        this.#state = { kind: 'length', left: framing.bytes }
        return
      case 'chunked':
        this.#state = { kind: 'chunked', decoder: new ChunkDecoder() }
        return
      case 'until-close':
        this.#state = { kind: 'until-close' }
    }
  }

  #readLength(bytes: Buffer, offset: number, left: number): number {
    const to = Math.min(bytes.length, offset + left)
    const rest = left - (to - offset)
    this.#state = { kind: 'length', left: rest }
    this.#sink.onData(bytes.subarray(offset, to))
    if (rest === 0) this.#end([], to === bytes.length)
    return to
  }

  #readChunked(bytes: Buffer, offset: number, decoder: ChunkDecoder): number {
    const next = decoder.read(bytes, offset, this.#onData)
    if (next < 0) return bytes.length
    this.#end(decoder.trailers, next === bytes.length)
    return next
  }

  #end(trailers: HeaderList, isClean: boolean): void {
    this.#state = IDLE
    this.#sink.onEnd(trailers, isClean)
  }
}
