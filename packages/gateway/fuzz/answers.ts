import { UncleanError } from '../src/http1/response-head.ts'
import { ResponseParser } from '../src/http1/response-parser.ts'
import { below, damaged, oneOf, pieces, type Random, rawBytes } from './bytes.ts'

const HEADERS = [
  'Content-Length: 5',
  'Content-Length: 0',
  'content-length: 5, 5',
  'Transfer-Encoding: chunked',
  'transfer-encoding: Chunked',
  'Transfer-Encoding: gzip, chunked',
  'Connection: close',
  'Connection: keep-alive, X-A',
  'Keep-Alive: timeout=5, max=100',
  'Upgrade: websocket',
  'X-A: 1',
  'Set-Cookie: a=b; Path=/',
]
const STATUS = ['200 OK', '204 No Content', '304 Not Modified', '101 Switching Protocols', '103 Early Hints', '100 Continue', '500 ', '404']
const BODIES = ['hello', '5\r\nhello\r\n0\r\n\r\n', '5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n', '', '0\r\n\r\n', '1']

function answer(random: Random): string {
  const version = random() < 0.9 ? '1.1' : oneOf(random, ['1.0', '0.9', '2.0', '1.2'])
  const headers = Array.from({ length: below(random, 5) }, () => `${oneOf(random, HEADERS)}\r\n`).join('')
  const one = `HTTP/${version} ${oneOf(random, STATUS)}\r\n${headers}\r\n${oneOf(random, BODIES)}`
  return random() < 0.2 ? one + answer(random) : one
}

interface Read {
  /** What was told as an answer: heads and trailers. */
  told: string
  body: string
  end: 'clean' | 'unclean' | 'open' | 'closed'
}

function read(parts: readonly string[], method: string, isUpgrade: boolean): Read {
  const seen: Read = { told: '', body: '', end: 'open' }
  const parser = new ResponseParser({
    onInterim({ status }) {
      seen.told += `${status};`
    },
    onHead({ status, headers }) {
      seen.told += `${status} ${JSON.stringify(headers)};`
    },
    onData(data) {
      seen.body += data.toString('latin1')
    },
    onEnd: (trailers) => {
      seen.told += `end ${JSON.stringify(trailers)}`
      seen.end = 'clean'
    },
    onSwitch: (_, first) => {
      seen.told += 'switch'
      seen.body += first.toString('latin1')
      seen.end = 'clean'
    },
  })
  parser.expect(method, isUpgrade)
  try {
    for (const part of parts) {
      if (seen.end === 'open' && part !== '') parser.read(Buffer.from(part, 'latin1'))
    }
    if (seen.end === 'open' && parser.close()) seen.end = 'clean'
    else if (seen.end === 'open') seen.end = 'closed'
  } catch (error) {
    if (!(error instanceof UncleanError)) throw error
    seen.end = 'unclean'
  }
  return seen
}

/** The parser of answers: it refuses or it reads, and does so the same however the bytes come. @throws what it found */
export function fuzzAnswer(random: Random): string {
  const text = random() < 0.2 ? rawBytes(random, 200) : damaged(random, answer(random))
  const method = oneOf(random, ['GET', 'GET', 'HEAD', 'POST'])
  const isUpgrade = random() < 0.1
  const whole = read([text], method, isUpgrade)
  const split = read(pieces(random, text), method, isUpgrade)
  // A switch ends with the first piece behind its head: what comes later is the tunnel's.
  const isSame = whole.told === split.told && (whole.body === split.body || whole.told.endsWith('switch') || whole.end !== 'clean')
  const bothRefuse = whole.end !== 'clean' && split.end !== 'clean'
  if (!bothRefuse && !(isSame && whole.end === split.end)) {
    throw new Error(`read in two ways: ${JSON.stringify({ text, method, isUpgrade, whole, split })}`)
  }
  return whole.end
}
