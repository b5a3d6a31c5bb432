import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'

/** A record of the zone. */
export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly ttl: number; readonly address: string }
  | {
      readonly type: 'SRV'
      readonly ttl: number
      readonly priority: number
      readonly weight: number
      readonly port: number
      readonly target: string
    }

/** A DNS server over UDP on a port of 127.0.0.1, with a zone that may change. */
export interface DnsServer {
  /** `127.0.0.1:<port>`. */
  readonly address: string
  /** By name, in lower case. A name that is not there does not exist. */
  readonly zone: Map<string, readonly DnsRecord[]>
  /** What was asked, as `A orders.test`. */
  readonly asked: string[]
  /** While true, it answers nothing. */
  silent: boolean
  close(): Promise<void>
}

const TYPES: Readonly<Record<number, DnsRecord['type']>> = { 1: 'A', 28: 'AAAA', 33: 'SRV' }
const CODES: Readonly<Record<DnsRecord['type'], number>> = { A: 1, AAAA: 28, SRV: 33 }

/** Starts the server. @see RFC 1035, section 4 */
export async function dnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4')
  const server = { address: '', zone: new Map<string, readonly DnsRecord[]>(), asked: [] as string[], silent: false }
  socket.on('message', (query: Buffer, from: RemoteInfo) => {
    const { name, type, end } = readQuestion(query)
    server.asked.push(`${TYPES[type] ?? type} ${name}`)
    if (server.silent) return
    const records = server.zone.get(name.toLowerCase())
    const answers = (records ?? []).filter((record) => CODES[record.type] === type)
    socket.send(answerTo(query.subarray(0, end), answers, records !== undefined), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  server.address = `127.0.0.1:${socket.address().port}`
  return Object.assign(server, {
    async close() {
      socket.close()
      await once(socket, 'close')
    },
  })
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function answerTo(query: Buffer, answers: readonly DnsRecord[], exists: boolean): Buffer {
  const head = Buffer.from(query)
  // An answer, with authority, recursion available; code 3: the name does not exist.
  head.writeUInt16BE(0x8580 | (exists ? 0 : 3), 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(answers.length, 6)
  head.writeUInt32BE(0, 8)
  return Buffer.concat([head, ...answers.map(recordOf)])
}

function recordOf(record: DnsRecord): Buffer {
  const data = dataOf(record)
  const head = Buffer.alloc(12)
  // The name: that of the question, at byte 12.
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(CODES[record.type], 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(record.ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function dataOf(record: DnsRecord): Buffer {
  switch (record.type) {
    case 'A':
      return Buffer.from(record.address.split('.').map(Number))
    case 'AAAA': {
      const [left = '', right = ''] = record.address.split('::')
      const groups = (text: string) => (text === '' ? [] : text.split(':'))
      const zeros = Array.from({ length: 8 - groups(left).length - groups(right).length }, () => '0')
      return Buffer.from([...groups(left), ...zeros, ...groups(right)].map((group) => group.padStart(4, '0')).join(''), 'hex')
    }
    case 'SRV': {
      const numbers = Buffer.alloc(6)
      numbers.writeUInt16BE(record.priority, 0)
      numbers.writeUInt16BE(record.weight, 2)
      numbers.writeUInt16BE(record.port, 4)
      const labels = record.target.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]))
      return Buffer.concat([numbers, ...labels, Buffer.from([0])])
    }
  }
}
