import { connect } from 'node:net'
import { silentLogger } from '@banyan/core'
import { staticRegistry } from '@banyan/discovery'
import { gateway } from '../src/gateway.ts'
import { corpusCases, corpusUpstream } from '../src/test/corpus.ts'
import { damaged, oneOf, type Random, rawBytes } from './bytes.ts'

/** A running gateway, asked with damaged requests before an upstream that gives damaged answers. */
export interface SocketFuzzer {
  /** @throws when a good request is not answered after it */
  run(random: Random): Promise<string>
  stop(): Promise<void>
}

const GOOD = 'GET /good HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

export async function socketFuzzer(): Promise<SocketFuzzer> {
  const upstream = await corpusUpstream()
  const running = gateway({
    config: {
      headers_timeout_ms: 1_000,
      breaker: { minimum_calls: 1_000_000 },
      routes: [{ path: '/', service: 'a', retries: 0, timeout_ms: 500, idle_timeout_ms: 500 }],
    },
    registry: staticRegistry({ a: [`127.0.0.1:${upstream.port}`] }),
    host: '127.0.0.1',
    port: 0,
    log: silentLogger,
  })
  const { port } = await running.start()
  const cases = corpusCases()
  return {
    async run(random) {
      const { request, answer } = oneOf(random, cases)
      const fault = random()
      upstream.expect(fault < 0.4 ? damaged(random, answer ?? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok') : answer)
      const bytes = fault < 0.1 ? rawBytes(random, 400) : fault < 0.7 ? damaged(random, request) : GOOD
      const said = await exchange(port, bytes)
      upstream.expect(undefined)
      if (random() < 0.05 && !/^HTTP\/1\.1 200 /.test(await exchange(port, GOOD))) {
        throw new Error(`a good request was not answered after ${JSON.stringify({ bytes, said })}`)
      }
      return /^HTTP\/1\.1 (\d)/.exec(said)?.[1]?.concat('xx') ?? 'hung up'
    },
    async stop() {
      await running.stop()
      upstream.close()
    },
  }
}

/** Sends bytes; resolves with what comes back until the other side closes. Of damaged ones it is said that no more come. */
function exchange(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const socket = connect(port, '127.0.0.1')
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`the gateway neither answered nor closed within 10 s: ${JSON.stringify(bytes)}`))
    }, 10_000)
    socket
      .setEncoding('latin1')
      .on('data', (data: string) => {
        said += data
      })
      .on('error', () => socket.destroy())
      .on('close', () => {
        clearTimeout(timer)
        resolve(said)
      })
    if (bytes === GOOD) socket.write(bytes, 'latin1')
    else socket.end(bytes, 'latin1')
  })
}
