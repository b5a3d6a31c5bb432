import type { HeaderList } from '../headers.ts'
import { endOfToken, isValue } from '../http-grammar.ts'

/** The head of an answer, and what its framing headers say. */
export interface ResponseHead {
  readonly version: '1.0' | '1.1'
  /** 100 to 999. */
  readonly status: number
  /** As they came, without the blanks around values. */
  readonly headers: HeaderList
  /** Where the body ends by its headers alone; `undefined`: they say nothing. */
  readonly framing: 'chunked' | { readonly length: number } | undefined
  /** Whether the connection may serve another request. */
  readonly isKept: boolean
  /** How long the other side keeps the connection, when it says so, milliseconds. */
  readonly keptForMs: number | undefined
}

/** How much of the bytes behind a head is its answer's body. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' | 'until-close' }

/** What is wrong with the bytes of an answer, in words that go behind "the answer of x is not clean HTTP: ". */
export class UncleanError extends Error {}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
/** What says where an answer ends: parsers do not agree on blanks around it, but for one before. */
const FRAMING_NAME = /^(?:transfer-encoding|content-length)$/i
/** 15 digits: below 2^53. */
const LENGTH = /^\d{1,15}$/

/**
 * Reads a head, without the empty line behind it. Each line ends in CRLF and nothing else; no line is folded.
 *
 * @param text one character a byte
 * @param end where the head ends; cutting it off first would make each look at a character dearer. Default: with the text
 * @throws {UncleanError}
 * @see RFC 9112, sections 4 to 6
 */
export function parseHead(text: string, end: number = text.length): ResponseHead {
  const found = text.indexOf('\r\n')
  const lineEnd = found < 0 || found > end ? end : found
  const line = text.slice(0, lineEnd)
  const statusLine = STATUS_LINE.exec(line)
  if (!statusLine) throw new UncleanError(`its first line is ${quoted(line)}`)
  const version = statusLine[1] === '0' ? '1.0' : '1.1'
  const headers = parseFields(text, lineEnd + 2, end)
  return { version, status: Number(statusLine[2]), headers, ...factsOf(headers, version) }
}

/**
 * Reads field lines, from `start` to `end`, by default that of the text.
 *
 * @throws {UncleanError}
 */
export function parseFields(text: string, start: number, end: number = text.length): string[] {
  const headers: string[] = []
  for (let from = start; from < end; ) {
    const found = text.indexOf('\r\n', from)
    const to = found < 0 || found > end ? end : found
    const colon = endOfToken(text, from)
    const value = trimmed(text, colon + 1, to)
    if (colon === from || colon >= to || text.charCodeAt(colon) !== COLON || !isValue(value))
      throw new UncleanError(`it has a header line ${quoted(text.slice(from, to))}`)
    const name = text.slice(from, colon)
    if (to - colon - 1 > value.length + 1 && FRAMING_NAME.test(name)) throw new UncleanError(`it has blanks around its ${name}`)
    headers.push(name, value)
    from = to + 2
  }
  return headers
}

const COLON = 0x3a

/** Without the blanks and tabs around it, and nothing else: `trim` knows more kinds of blanks. */
function trimmed(text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isBlank(text.charCodeAt(from))) from += 1
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1
  return text.slice(from, to)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}

/**
 * Where the body of an answer ends.
 *
 * @throws {UncleanError} for a head that its method or status forbids
 * @see RFC 9112, section 6.3
 */
export function bodyFraming({ status, framing }: ResponseHead, method: string): BodyFraming {
  if (status === 204 && framing !== undefined && (framing === 'chunked' || framing.length > 0))
    throw new UncleanError('it is a 204 with a body')
  if (method === 'HEAD' || status === 204 || status === 304) return { kind: 'none' }
  if (framing === undefined) return { kind: 'until-close' }
  if (framing === 'chunked') return { kind: 'chunked' }
  return framing.length === 0 ? { kind: 'none' } : { kind: 'length', bytes: framing.length }
}

/** Headers by which parsers tell where an answer ends: what they read differently is refused, or one answer could be taken for two. */
function factsOf(headers: HeaderList, version: '1.0' | '1.1'): Pick<ResponseHead, 'framing' | 'isKept' | 'keptForMs'> {
  let encoding: string | undefined
  let length: string | undefined
  let connection = ''
  let keepAlive = ''
  for (let index = 0; index < headers.length; index += 2) {
    const value = headers[index + 1] ?? ''
    // By their lengths first: most headers are none of these.
    switch (headers[index]?.length) {
      case 10:
        if (is(headers, index, 'connection')) connection = connection === '' ? value : `${connection},${value}`
        else if (is(headers, index, 'keep-alive')) keepAlive = value
        break
      case 14:
        if (is(headers, index, 'content-length')) length = length === undefined ? value : `${length}, ${value}`
        break
      case 17:
        if (is(headers, index, 'transfer-encoding')) encoding = encoding === undefined ? value : `${encoding}, ${value}`
        break
    }
  }
  return {
    framing: framingOf(encoding, length, version),
    isKept: isKept(connection, version),
    keptForMs: keptForMs(keepAlive),
  }
}

function isKept(connection: string, version: '1.0' | '1.1'): boolean {
  // As most say it, or do not say it.
  if (version === '1.1' && (connection === '' || connection === 'keep-alive')) return true
  const options = connection
    .toLowerCase()
    .split(',')
    .map((option) => option.trim())
  return !options.includes('close') && (version === '1.1' || options.includes('keep-alive'))
}

function is(headers: HeaderList, index: number, lowerCaseName: string): boolean {
  return headers[index]?.toLowerCase() === lowerCaseName
}

function framingOf(encoding: string | undefined, length: string | undefined, version: '1.0' | '1.1'): ResponseHead['framing'] {
  if (encoding !== undefined) {
    if (length !== undefined) throw new UncleanError('it has both Transfer-Encoding and Content-Length')
    if (version === '1.0') throw new UncleanError('it is of HTTP/1.0 and has a Transfer-Encoding')
    if (encoding.toLowerCase() !== 'chunked') throw new UncleanError(`its Transfer-Encoding is ${quoted(encoding)}, wanted "chunked"`)
    return 'chunked'
  }
  if (length === undefined) return undefined
  if (!LENGTH.test(length)) throw new UncleanError(`its Content-Length is ${quoted(length)}`)
  return { length: Number(length) }
}

function keptForMs(keepAlive: string): number | undefined {
  if (keepAlive === '') return undefined
  const seconds = /(?:^|[,; ])timeout=(\d{1,6})(?:$|[,; ])/i.exec(keepAlive)?.[1]
  return seconds === undefined ? undefined : Number(seconds) * 1_000
}

/** Short enough for a log line, with nothing in it that could break one. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text)
}
