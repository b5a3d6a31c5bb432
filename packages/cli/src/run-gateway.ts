import { readFile } from 'node:fs/promises'
import { type Logger, messageOf, systemWorld } from '@banyan/core'
import {
  type AdminSubject,
  type Control,
  control,
  type GatewayConfig,
  type GatewayStatus,
  type ManagedFile,
  managedFile,
  parseGatewayFile,
} from '@banyan/gateway'
import { CliError } from './errors.ts'
import { type GatewayFleet, gatewayFleet } from './gateway-fleet.ts'
import { gatewayParts } from './gateway-parts.ts'
import { mergeMetrics } from './merge-metrics.ts'
import type { GatewayPlan } from './process-plan.ts'

export interface RunGatewayOptions {
  readonly plan: GatewayPlan
  /** How many processes on one port; `undefined`: this one alone. */
  readonly processes: number | undefined
  /** Where good configurations are kept, when the file names an `admin_token`. */
  readonly historyFolder: string | undefined
  /** What the processes print. */
  readonly onLine: (name: string, line: string) => void
  readonly log: Logger
}

/** A gateway that runs, in this process or in several. */
export interface RunningGateway {
  readonly url: string
  readonly adminUrl: string | undefined
  reload(): Promise<void>
  /** The processes, where there are several. */
  readonly fleet: GatewayFleet | undefined
  stop(): Promise<void>
}

/**
 * Runs a gateway file.
 *
 * @throws {CliError} `ERR_PROCESS_FAILED`, `ERR_USAGE`; {@link GatewayConfigError}; nothing is left running
 */
export async function runGateway(options: RunGatewayOptions): Promise<RunningGateway> {
  return options.processes === undefined ? runAlone(options) : runFleet(options, options.processes)
}

async function runAlone({ plan, historyFolder, log }: RunGatewayOptions): Promise<RunningGateway> {
  const parts = gatewayParts(plan, log, historyFolder === undefined ? {} : { historyFolder })
  try {
    const { url, adminUrl } = await parts.gateway.start()
    return { url, adminUrl, reload: () => parts.gateway.reload(), fleet: undefined, stop: () => parts.stop() }
  } catch (error) {
    await parts.stop()
    throw error
  }
}

async function runFleet(options: RunGatewayOptions, processes: number): Promise<RunningGateway> {
  const { plan, historyFolder, onLine, log } = options
  const world = systemWorld
  const config = parseGatewayFile(await textOf(plan.file), plan.file)
  const fleet = gatewayFleet({ plan, processes, drainMs: config.drain_ms ?? 10_000, onLine, world })
  const { url } = await fleet.start()
  let managed: ManagedFile | undefined
  let admin: Control | undefined
  const stop = async () => {
    managed?.stop()
    await fleet.stop()
    await admin?.stop()
  }
  try {
    if (config.admin !== undefined && config.admin_token !== undefined)
      managed = await managedFile({ file: plan.file, historyFolder, apply: () => fleet.reload(), world, log })
    admin = adminOf(config, { fleet, managed: () => managed }, log)
    const adminPort = await admin?.start()
    const [host] = adminPlaceOf(config)
    return {
      url,
      adminUrl: adminPort && `http://${host.includes(':') ? `[${host}]` : host}:${adminPort.port}`,
      reload: () => fleet.reload(),
      fleet,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function adminOf(
  config: GatewayConfig,
  { fleet, managed }: { fleet: GatewayFleet; managed: () => ManagedFile | undefined },
  log: Logger,
): Control | undefined {
  if (config.admin === undefined) return undefined
  const subject: AdminSubject = {
    status: () => statusOf(fleet, config),
    metrics: () => metricsOf(fleet),
    managed,
    restart: () => fleet.restart(),
  }
  const [host, port] = adminPlaceOf(config)
  return control({ host, port, token: () => managed()?.running().config.admin_token, subject, log })
}

/** Ready when one process is: the others take no connections, and it does. */
async function statusOf(fleet: GatewayFleet, { routes }: GatewayConfig): Promise<GatewayStatus> {
  const processes = await fleet.processes()
  const ready = processes.filter(({ report }) => report?.status.isReady)
  const detail = `${ready.length} of ${processes.length} processes take requests`
  const shown = processes.map(({ name, pid, state, restarts, report }) => ({
    name,
    pid,
    state,
    restarts,
    detail: report?.status.detail ?? 'no answer',
  }))
  const upstreams = processes.flatMap(({ name, report }) => (report?.status.upstreams ?? []).map((one) => ({ process: name, ...one })))
  return { isReady: ready.length > 0, detail, routes: routes.length, upstreams, processes: shown }
}

async function metricsOf(fleet: GatewayFleet): Promise<string> {
  const processes = await fleet.processes()
  return mergeMetrics(new Map(processes.flatMap(({ report }, index) => (report ? [[String(index), report.metrics] as const] : []))))
}

/** A port alone is one of this machine's. */
function adminPlaceOf({ admin = 0 }: GatewayConfig): [host: string, port: number] {
  if (typeof admin === 'number') return ['127.0.0.1', admin]
  const colon = admin.lastIndexOf(':')
  return [admin.slice(0, colon).replace(/^\[|\]$/g, ''), Number(admin.slice(colon + 1))]
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CliError('ERR_USAGE', `cannot read the gateway file "${file}": ${messageOf(cause)}`, { cause })
  }
}
