import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UncleanError } from './response-head.ts'
import { ResponseParser } from './response-parser.ts'

interface Seen {
  interims: number[]
  status?: number
  headers?: readonly string[]
  body: string
  trailers?: readonly string[]
  /** Undefined: not ended. */
  isClean?: boolean
  isKept?: boolean
  switched?: string
  unclean?: string
}

interface Asked {
  method?: string
  isUpgrade?: boolean
  /** The other side closes at the end. */
  closes?: boolean
  maxHeadBytes?: number
}

/** What a parser makes of bytes that come in these pieces. */
function parse(pieces: readonly string[], { method = 'GET', isUpgrade = false, closes = false, maxHeadBytes = 65_536 }: Asked = {}): Seen {
  const seen: Seen = { interims: [], body: '' }
  const parser = new ResponseParser(
    {
      onInterim: ({ status }) => void seen.interims.push(status),
      onHead: ({ status, headers, isKept }) => Object.assign(seen, { status, headers, isKept }),
      onData: (data) => {
        seen.body += data.toString('latin1')
      },
      onEnd: (trailers, isClean) => Object.assign(seen, { trailers, isClean }),
      onSwitch: ({ status }, first) => Object.assign(seen, { status, switched: first.toString('latin1') }),
    },
    { maxHeadBytes },
  )
  parser.expect(method, isUpgrade)
  try {
    for (const piece of pieces) {
      // After an end the connection would not be read for this answer any more.
      if (seen.isClean === undefined) parser.read(Buffer.from(piece, 'latin1'))
    }
    if (closes && !parser.close() && seen.isClean === undefined) seen.unclean = 'cut'
  } catch (error) {
    if (!(error instanceof UncleanError)) throw error
    seen.unclean = error.message
  }
  return seen
}

const one = (text: string, asked?: Asked) => parse([text], asked)
const OK = 'HTTP/1.1 200 OK\r\n'

describe('an answer', () => {
  it('ends after its length', () => {
    expect(one(`${OK}Content-Length: 3\r\nX-A:  a b \t\r\n\r\nabc`)).toEqual({
      interims: [],
      status: 200,
      headers: ['Content-Length', '3', 'X-A', 'a b'],
      isKept: true,
      body: 'abc',
      trailers: [],
      isClean: true,
    })
  })

  it('ends after its last chunk and its trailers', () => {
    const seen = one(`${OK}Transfer-Encoding: CHUNKED\r\n\r\n3;a="b"\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n`)
    expect(seen).toMatchObject({ body: 'abc0123456789', trailers: ['X-Sum', '1', 'X-B', '2'], isClean: true })
  })

  it('lasts until the connection closes when its head says nothing', () => {
    expect(one(`${OK}\r\nabc`)).not.toHaveProperty('isClean')
    expect(one(`${OK}\r\nabc`, { closes: true })).toMatchObject({ body: 'abc', isClean: false })
  })

  it.each([
    ['HEAD', `${OK}Content-Length: 3\r\n\r\n`],
    ['HEAD', `${OK}Transfer-Encoding: chunked\r\n\r\n`],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n\r\n'],
    ['GET', `${OK}Content-Length: 0\r\n\r\n`],
  ])('has no body: %s, %j', (method, text) => expect(one(text, { method })).toMatchObject({ body: '', isClean: true }))

  it('may need no reason and no headers', () => {
    expect(one('HTTP/1.1 204\r\n\r\n')).toMatchObject({ status: 204, headers: [], isClean: true })
  })

  it('comes after interim ones', () => {
    const seen = one(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}Content-Length: 1\r\n\r\na`)
    expect(seen).toMatchObject({ interims: [100, 103], status: 200, body: 'a' })
  })

  it('switches the protocol when that was asked for, with the first bytes behind it', () => {
    const text = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x05hello'
    expect(one(text, { isUpgrade: true })).toMatchObject({ status: 101, switched: '\x81\x05hello' })
  })

  it.each([
    [OK, true],
    [`${OK}Connection: close\r\n`, false],
    [`${OK}Connection: Keep-Alive, Close\r\n`, false],
    ['HTTP/1.0 200 OK\r\n', false],
    ['HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n', true],
  ])('says whether the connection stays: %j', (head, isKept) => {
    expect(one(`${head}Content-Length: 0\r\n\r\n`)).toMatchObject({ isKept, isClean: true })
  })

  it('is told to be unclean when bytes follow it', () => {
    expect(one(`${OK}Content-Length: 1\r\n\r\nab`)).toMatchObject({ body: 'a', isClean: false })
    expect(one(`${OK}Content-Length: 0\r\n\r\n${OK}`)).toMatchObject({ body: '', isClean: false })
    expect(one(`${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nx`)).toMatchObject({ isClean: false })
  })
})

describe('is refused', () => {
  it.each([
    ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['a bare LF in the head', `${OK}X-A: a\nX-B: b\r\nContent-Length: 0\r\n\r\n`],
    ['a bare CR', `${OK}X-A: a\rX-B: b\r\nContent-Length: 0\r\n\r\n`],
    ['a NUL', `${OK}X-A: a\0\r\nContent-Length: 0\r\n\r\n`],
    ['a folded line', `${OK}X-A: a\r\n b\r\nContent-Length: 0\r\n\r\n`],
    ['a blank before the colon', `${OK}Content-Length : 0\r\n\r\n`],
    ['a header without a name', `${OK}: a\r\nContent-Length: 0\r\n\r\n`],
    ['a line without a colon', `${OK}X-A\r\nContent-Length: 0\r\n\r\n`],
    ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
    ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['lower case', 'http/1.1 200 OK\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['an empty line first', `\r\n${OK}Content-Length: 0\r\n\r\n`],
    ['a tab behind "chunked"', `${OK}Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n`],
    ['two encodings', `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['an unknown encoding', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['an encoding and a length', `${OK}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`],
    ['an encoding in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths, though equal', `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
    ['a list of lengths', `${OK}Content-Length: 1, 1\r\n\r\na`],
    ['a signed length', `${OK}Content-Length: +1\r\n\r\na`],
    ['a hexadecimal length', `${OK}Content-Length: 0x1\r\n\r\na`],
    ['a length beyond 2^53', `${OK}Content-Length: 9999999999999999\r\n\r\na`],
    ['a 204 with a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na'],
    ['a 204 in chunks', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['an interim answer with a body', `HTTP/1.1 103 Early Hints\r\nContent-Length: 1\r\n\r\na${OK}\r\n`],
    ['interim answers without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(17)],
    ['a switch that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'],
    ['a chunk size with a blank', `${OK}Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n`],
    ['a chunk size with a sign', `${OK}Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n`],
    ['a chunk size with 0x', `${OK}Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n`],
    ['no chunk size', `${OK}Transfer-Encoding: chunked\r\n\r\n\r\na\r\n0\r\n\r\n`],
    ['a chunk size beyond 2^53', `${OK}Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\na\r\n0\r\n\r\n`],
    ['a chunk line with a bare LF', `${OK}Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n`],
    ['a chunk longer than its size', `${OK}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`],
    ['a chunk extension without end', `${OK}Transfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(300)}`],
    ['trailers without end', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${'X-A: a\r\n'.repeat(3_000)}`],
    ['a trailer that frames', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n`],
    ['a trailer that decides who is asking', `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\nset-cookie: a=b\r\n\r\n`],
  ])('%s', (_, text) => expect(one(text).unclean).toEqual(expect.any(String)))

  it('a head that is too large, whether it ends or not', () => {
    const head = (bytes: number) => `${OK}X-A: ${'a'.repeat(bytes)}`
    expect(one(head(200), { maxHeadBytes: 100 }).unclean).toBe('its head is larger than 100 bytes')
    expect(parse([...head(200)], { maxHeadBytes: 100 }).unclean).toBe('its head is larger than 100 bytes')
    expect(one(`${head(200)}\r\n\r\n`, { maxHeadBytes: 100 }).unclean).toBe('its head is larger than 100 bytes')
  })

  it.each([
    'HTTP/1.1 200 OK\r\nX-A: a',
    `${OK}Content-Length: 3\r\n\r\nab`,
    `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n`,
    '',
  ])('one that is cut short: %j', (text) => expect(one(text, { closes: true })).toMatchObject({ unclean: 'cut' }))
})

const field = fc
  .tuple(fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,8}$/), fc.stringMatching(/^[ -~]{0,12}$/))
  .filter(([name]) => !/^(?:content-length|transfer-encoding|connection|keep-alive|te|host|trailer|upgrade)$/i.test(name))
const chunk = fc.stringMatching(/^[\x20-\x7e\r\n]{1,20}$/)
const framed = fc.oneof(
  chunk.map((body) => ({ head: `Content-Length: ${body.length}\r\n`, bytes: body, body })),
  fc.array(chunk, { maxLength: 4 }).map((chunks) => ({
    head: 'Transfer-Encoding: chunked\r\n',
    bytes: `${chunks.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`).join('')}0\r\n\r\n`,
    body: chunks.join(''),
  })),
)
const answer = fc.record({
  status: fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
  fields: fc.array(field, { maxLength: 4 }),
  framed,
})

function textOf({
  status,
  fields,
  framed: { head, bytes },
}: {
  status: number
  fields: [string, string][]
  framed: { head: string; bytes: string }
}): string {
  return `HTTP/1.1 ${status} X\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}${head}\r\n${bytes}`
}

/** Cuts a text at these places. */
function cut(text: string, places: readonly number[]): string[] {
  const sorted = [0, ...places.map((place) => place % (text.length + 1)), text.length].sort((a, b) => a - b)
  return sorted.slice(1).map((to, index) => text.slice(sorted[index], to))
}

describe('any answer', () => {
  it('is read the same however its bytes come', () => {
    fc.assert(
      fc.property(answer, fc.array(fc.nat(), { maxLength: 8 }), (given, places) => {
        const text = textOf(given)
        const seen = parse(cut(text, places))
        expect(seen).toEqual(one(text))
        expect(seen).toMatchObject({ status: given.status, body: given.framed.body, isClean: true })
        expect(parse([...text])).toEqual(seen)
      }),
    )
  })

  it('is read the same, or refused the same, when a few of its bytes are others', () => {
    const change = fc.record({
      at: fc.nat(),
      byte: fc.oneof(fc.constantFrom(0, 9, 10, 13, 32, 44, 58, 59, 48, 255), fc.integer({ min: 0, max: 255 })),
      kind: fc.constantFrom('put', 'insert', 'drop'),
    })
    fc.assert(
      fc.property(
        answer,
        fc.array(change, { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        (given, changes, places) => {
          let text = textOf(given)
          for (const { at, byte, kind } of changes) {
            const place = at % (text.length + 1)
            text =
              text.slice(0, place) + (kind === 'drop' ? '' : String.fromCharCode(byte)) + text.slice(kind === 'insert' ? place : place + 1)
          }
          const whole = one(text, { closes: true })
          const inPieces = parse(cut(text, places), { closes: true })
          // Where it is refused, more or less of the body may have come before; what was told as an answer is the same.
          const { isClean: cleanA, body: bodyA, unclean: uncleanA, ...restA } = whole
          const { isClean: cleanB, body: bodyB, unclean: uncleanB, ...restB } = inPieces
          if (uncleanA === undefined)
            expect({ ...restB, body: bodyB, unclean: uncleanB }).toEqual({ ...restA, body: bodyA, unclean: undefined })
          else expect(uncleanB).toBeDefined()
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
