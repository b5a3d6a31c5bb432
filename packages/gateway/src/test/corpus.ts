import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { parse } from 'yaml'

/** One case of `corpus/`: bytes that come, what must reach the upstream, what the client must get. All texts have one character a byte. */
export interface CorpusCase {
  /** The file's name, without `.yaml`. */
  readonly name: string
  readonly about: string
  /** Where it is written. */
  readonly source?: string
  readonly request: string
  /** What the upstream answers; left out, a clean 200 with the body `ok`. */
  readonly answer?: string
  /** `none`: not a byte. `unfinished`: no whole request; its body was wrong when its head had gone on. */
  readonly upstream: 'none' | 'unfinished' | UpstreamWish
  readonly client: ClientWish
}

export interface UpstreamWish {
  readonly target: string
  /** By lower-case names; several values with `, ` between. */
  readonly headers?: Readonly<Record<string, string>>
  /** Names that must not be there. */
  readonly lacks?: readonly string[]
  readonly body?: string
}

export interface ClientWish {
  /** One of these. */
  readonly status?: readonly number[]
  /** Interim statuses before it. */
  readonly interim?: readonly number[]
  readonly body?: string
  readonly lacks?: readonly string[]
  /** The answer must not look whole. */
  readonly cut?: boolean
}

/** A running proxy whose only upstream is {@link corpusUpstream}'s. */
export interface CorpusTarget {
  readonly port: number
  readonly upstream: CorpusUpstream
  /** What else must hold of the bytes that the client gets. @returns faults, in words */
  readonly check?: (raw: string) => readonly string[]
}

const FOLDER = new URL('../../corpus/', import.meta.url)

/** All cases, by their names. */
export function corpusCases(): CorpusCase[] {
  const files = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
  // The files are part of this repository; a misspelled one fails its case.
  return files.map((file) => ({ name: file.replace('.yaml', ''), ...parse(readFileSync(new URL(file, FOLDER), 'utf8')) }) as CorpusCase)
}

/** An upstream that keeps what reaches it and answers what a case says. */
export interface CorpusUpstream {
  readonly port: number
  expect(answer: string | undefined): void
  /** What came since `expect`, connection by connection. */
  received(): string[]
  close(): void
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Starts a {@link CorpusUpstream}. It closes after an answer of its own, since some of them end so. */
export async function corpusUpstream(): Promise<CorpusUpstream> {
  let answer: string | undefined
  let received: { text: string }[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const own = { text: '' }
    let asked: string | undefined
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
    socket.setEncoding('latin1').on('data', (data: string) => {
      if (!received.includes(own)) received.push(own)
      own.text += data
      if (asked !== undefined || !isWhole(own.text)) return
      asked = own.text
      if (answer === undefined) {
        socket.write(OK)
        own.text = ''
        received = [...received.filter((one) => one !== own), { text: asked }]
        asked = undefined
      } else socket.end(answer, 'latin1')
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    expect(next) {
      answer = next
      received = []
    },
    received: () => received.map(({ text }) => text),
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** What a message is made of, for one that is clean. */
interface Message {
  readonly first: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

function read(text: string): Message {
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, end < 0 ? undefined : end).split('\r\n')
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value)
  }
  return { first, headers, body: end < 0 ? '' : text.slice(end + 4) }
}

function dechunked(body: string): string | undefined {
  let rest = body
  let whole = ''
  for (;;) {
    const line = /^([0-9a-f]+)[^\r]*\r\n/i.exec(rest)
    if (!line) return undefined
    const size = Number.parseInt(line[1] ?? '', 16)
    const from = line[0].length
    if (size === 0) return rest.slice(from).includes('\r\n') ? whole : undefined
    if (rest.length < from + size + 2) return undefined
    whole += rest.slice(from, from + size)
    rest = rest.slice(from + size + 2)
  }
}

/** The body, when all of it is there; a length or a last chunk says so. */
function wholeBody({ headers, body }: Message, hasNone: boolean): string | undefined {
  if (hasNone) return ''
  if (headers.get('transfer-encoding') === 'chunked') return dechunked(body)
  const length = headers.get('content-length')
  if (length === undefined) return undefined
  return body.length >= Number(length) ? body.slice(0, Number(length)) : undefined
}

/** Whether a request has come to its end. */
function isWhole(text: string): boolean {
  if (!text.includes('\r\n\r\n')) return false
  const message = read(text)
  return wholeBody(message, !message.headers.has('content-length') && !message.headers.has('transfer-encoding')) !== undefined
}

/** What a proxy made of a case. */
export interface Observed {
  /** What the client got. */
  readonly raw: string
  /** The other side still kept the connection when patience was over. */
  readonly isOpen: boolean
  /** What the upstream got, connection by connection. */
  readonly received: readonly string[]
}

/** Runs a case. @returns what is wrong, in words; nothing when all is right */
export async function runCase(given: CorpusCase, target: CorpusTarget): Promise<string[]> {
  const observed = await observeCase(given, target)
  return [...faultsOf(given, observed), ...(target.check?.(observed.raw) ?? [])]
}

/** Runs a case and keeps what came of it. `patienceMs`: how long the other side may keep the connection. Default 3,000. */
export async function observeCase(
  given: CorpusCase,
  { port, upstream }: Pick<CorpusTarget, 'port' | 'upstream'>,
  patienceMs = 3_000,
): Promise<Observed> {
  upstream.expect(given.answer)
  const exchanged = await exchange(port, given.request, patienceMs)
  return { ...exchanged, received: upstream.received() }
}

/** What is wrong with what was observed, in words. */
export function faultsOf(given: CorpusCase, { raw, received }: Observed): string[] {
  return [...upstreamFaults(given.upstream, received), ...clientFaults(given.client, raw, given.request.startsWith('HEAD '))]
}

/** The final answer among the bytes that a client got: its status, 0 for none, and its body, when it looks whole. */
export function answerOf(raw: string, isHead: boolean): { readonly status: number; readonly body: string | undefined } {
  const message = read(finalOf(raw).final)
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(message.first)?.[1] ?? 0)
  // An answer without a length lasts until the close: it cannot look cut.
  const isUntilClose = !message.headers.has('content-length') && !message.headers.has('transfer-encoding') && status > 0
  return { status, body: wholeBody(message, isHead) ?? (isUntilClose ? message.body : undefined) }
}

/** Sends bytes and gathers what comes until the other side closes, or nothing more comes. */
function exchange(port: number, request: string, patienceMs: number): Promise<Pick<Observed, 'raw' | 'isOpen'>> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let raw = ''
    let isOpen = false
    const timer = setTimeout(() => {
      isOpen = true
      socket.destroy()
    }, patienceMs)
    socket
      .setEncoding('latin1')
      .on('data', (data: string) => {
        raw += data
      })
      .on('error', () => socket.destroy())
      .on('close', () => {
        clearTimeout(timer)
        resolve({ raw, isOpen })
      })
    socket.write(request, 'latin1')
  })
}

function upstreamFaults(wish: CorpusCase['upstream'], received: readonly string[]): string[] {
  if (wish === 'none') return received.length === 0 ? [] : [`the upstream got ${JSON.stringify(received[0]?.slice(0, 200))}`]
  const [text] = received
  if (wish === 'unfinished') return text === undefined || !isWhole(text) ? [] : ['the upstream got a whole request']
  if (text === undefined) return ['nothing reached the upstream']
  const message = read(text)
  const target = message.first.split(' ')[1]
  const body = wholeBody(message, !message.headers.has('content-length') && !message.headers.has('transfer-encoding'))
  return [
    ...(target === wish.target ? [] : [`the upstream got the target ${JSON.stringify(target)}, wanted ${JSON.stringify(wish.target)}`]),
    ...Object.entries(wish.headers ?? {}).flatMap(([name, value]) =>
      message.headers.get(name) === value
        ? []
        : [`the upstream got ${name}: ${JSON.stringify(message.headers.get(name))}, wanted ${JSON.stringify(value)}`],
    ),
    ...(wish.lacks ?? []).flatMap((name) => (message.headers.has(name) ? [`the upstream got ${name}`] : [])),
    ...(wish.body === undefined || wish.body === body
      ? []
      : [`the upstream got the body ${JSON.stringify(body)}, wanted ${JSON.stringify(wish.body)}`]),
    ...(received.length === 1 ? [] : [`the upstream got ${received.length} requests`]),
  ]
}

function clientFaults(wish: ClientWish, raw: string, isHead: boolean): string[] {
  const { interims, final } = finalOf(raw)
  const message = read(final)
  const { status, body } = answerOf(raw, isHead)
  return [
    ...(wish.status === undefined || wish.status.includes(status)
      ? []
      : [`the client got ${status || 'no answer'}, wanted ${wish.status.join(' or ')}`]),
    ...(wish.interim === undefined || wish.interim.join() === interims.join()
      ? []
      : [`the client got the interim answers ${interims.join()}, wanted ${wish.interim.join()}`]),
    ...(wish.body === undefined || wish.body === body
      ? []
      : [`the client got the body ${JSON.stringify(body)}, wanted ${JSON.stringify(wish.body)}`]),
    ...(wish.lacks ?? []).flatMap((name) => (message.headers.has(name) ? [`the client got ${name}`] : [])),
    ...(wish.cut && body !== undefined && status < 500 ? ['the client got an answer that looks whole'] : []),
  ]
}

/** What comes before the last head of 1xx, and the rest. */
function finalOf(raw: string): { interims: number[]; final: string } {
  const interims: number[] = []
  let final = raw
  for (let found = interimOf(final); found !== undefined; found = interimOf(final)) {
    // A 100 is the client's own wish.
    if (found !== 100) interims.push(found)
    final = final.slice(final.indexOf('\r\n\r\n') + 4)
  }
  return { interims, final }
}

function interimOf(text: string): number | undefined {
  const status = /^HTTP\/1\.1 (1\d\d) /.exec(text)?.[1]
  return status === undefined ? undefined : Number(status)
}
