// One of the processes of a gateway, started by gatewayFleet: it is told by GATEWAY_VARIABLE what to run, and by its first message where to listen.
import { once } from 'node:events'
import { messageOf } from '@banyan/core'
import type { GatewayStatus } from '@banyan/gateway'
import { createLogger, logLevelOf } from '@banyan/service'
import { type GatewayParts, gatewayParts } from './gateway-parts.ts'
import { GATEWAY_VARIABLE, type GatewayPlan } from './process-plan.ts'

/** Its first message: the port, or with a socket nothing more to say. */
export interface ListenOrder {
  readonly listen: { readonly port: number | undefined }
}

/** What it is asked for while it runs. */
export interface WorkerQuestion {
  readonly ask: 'reload' | 'report'
  readonly id: number
}

export interface WorkerReport {
  readonly status: GatewayStatus
  readonly metrics: string
}

/** What it says when it listens, with its socket where it opened one. */
export interface ListeningMessage {
  readonly ready: true
  readonly url: string
  readonly port: number
}

export type WorkerAnswer = { readonly id: number; readonly report?: WorkerReport } | { readonly id: number; readonly refused: string }

let parts: GatewayParts | undefined
let ending: Promise<void> | undefined

// The terminal sends Ctrl-C to all processes of a gateway; the one that started them says when to end.
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.on('SIGTERM', () => void end(0))
// Whoever started this process is gone, perhaps by kill -9: nothing is left behind.
process.on('disconnect', () => void end(0))

try {
  // Written by gatewayFleet.
  const plan = JSON.parse(process.env[GATEWAY_VARIABLE] ?? '{}') as GatewayPlan
  const [order, socket] = (await once(process, 'message')) as [ListenOrder, object | undefined]
  const log = createLogger({ service: 'gateway', level: logLevelOf(process.env.LOG_LEVEL) })
  const { port = plan.port } = order.listen
  parts = gatewayParts({ ...plan, port }, log, { admin: false, reusePort: true, socket })
  process.on('message', (question: WorkerQuestion) => void reply(question))
  const { url, port: bound, socket: opened } = await parts.gateway.start()
  tell({ ready: true, url, port: bound } satisfies ListeningMessage, socket ? undefined : opened)
} catch (error) {
  tell({ failed: messageOf(error) })
  await end(1)
}

async function reply({ ask, id }: WorkerQuestion): Promise<void> {
  try {
    if (ask === 'reload') {
      await parts?.gateway.reload()
      tell({ id } satisfies WorkerAnswer)
    } else if (parts) {
      const report = { status: parts.gateway.status(), metrics: await parts.metrics() }
      tell({ id, report } satisfies WorkerAnswer)
    }
  } catch (error) {
    tell({ id, refused: messageOf(error) } satisfies WorkerAnswer)
  }
}

function end(code: number): Promise<void> {
  ending ??= (async () => {
    try {
      await parts?.stop()
    } catch (error) {
      console.error(error)
      process.exit(1)
    }
    process.exit(code)
  })()
  return ending
}

function tell(message: object, socket?: object): void {
  // Node sends what lies below a server too, which its types do not name.
  if (process.connected) process.send?.(message, socket as Parameters<NonNullable<typeof process.send>>[1])
}
