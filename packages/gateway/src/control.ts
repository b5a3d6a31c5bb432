import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { codeOf, type Logger, messageOf } from '@banyan/core'
import type { DestinationState } from './destination.ts'
import { GatewayError } from './errors.ts'

/** How a gateway is doing. */
export interface GatewayStatus {
  readonly isReady: boolean
  /** For people: what keeps it from being ready. */
  readonly detail: string
  readonly routes: number
  readonly upstreams: readonly DestinationState[]
}

export interface ControlOptions {
  /** Default 127.0.0.1: it tells about the inside. */
  readonly host: string | undefined
  readonly port: number
  readonly status: () => GatewayStatus
  /** Metrics as Prometheus text. */
  readonly metrics: (() => Promise<string>) | undefined
  readonly log: Logger
}

/** The port beside the traffic: `/health/live`, `/health/ready`, `/metrics`. */
export interface Control {
  /** @throws {GatewayError} `ERR_PORT_TAKEN` */
  start(): Promise<{ readonly port: number }>
  stop(): Promise<void>
}

/** Creates a {@link Control}. */
export function control(options: ControlOptions): Control {
  const { host = '127.0.0.1', port, log } = options
  const server: Server = createServer((request, response) => {
    answer(request.method ?? '', request.url?.split('?')[0] ?? '', options)
      .catch((error): Answer => {
        log.error({ err: error }, 'the gateway cannot tell how it is')
        return json(500, { status: 'failed', detail: 'see the log' })
      })
      .then(({ status, type, text }) => response.writeHead(status, { 'content-type': type }).end(text))
  })
  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', (cause) => {
          const reason =
            codeOf(cause) === 'EADDRINUSE' ? 'another program has it; stop that one or choose another "admin" port' : messageOf(cause)
          reject(new GatewayError('ERR_PORT_TAKEN', `cannot listen on ${host}:${port}: ${reason}`, { cause }))
        })
        // An AddressInfo, as it listens on a port.
        server.listen(port, host, () => resolve({ port: (server.address() as AddressInfo).port }))
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

async function answer(method: string, path: string, { status, metrics }: ControlOptions): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return json(405, { status: 'refused', detail: 'only GET is answered here' })
  if (path === '/health/live') return json(200, { status: 'alive' })
  if (path === '/health/ready') {
    const { isReady, ...rest } = status()
    return json(isReady ? 200 : 503, { status: isReady ? 'ready' : 'not_ready', ...rest })
  }
  if (path === '/metrics' && metrics) return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', text: await metrics() }
  return json(404, { status: 'unknown', detail: 'wanted /health/live, /health/ready or /metrics' })
}

function json(status: number, body: object): Answer {
  return { status, type: 'application/json', text: JSON.stringify(body) }
}
