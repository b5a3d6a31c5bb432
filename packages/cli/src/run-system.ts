import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf, nearest, systemWorld, type World } from '@banyan/core'
import { CliError } from './errors.ts'
import { type LogStyle, logLines } from './log-lines.ts'
import { freePort, takePort } from './ports.ts'
import { PLAN_VARIABLE, type ProcessPlan, REGISTRY_VARIABLE, type RegistryPlan } from './process-plan.ts'
import { DATABASE_VARIABLE } from './service-database.ts'
import { type Supervisor, supervisor } from './supervisor.ts'
import { groupsOf, type Processes, type SystemDefinition } from './system.ts'
import { type TraceCollector, traceCollector } from './trace-collector.ts'

export interface StartSystemOptions {
  /** The URL of the system file; its paths are relative to it. */
  baseUrl: string
  /** Where databases and other files live; made when it is not there. */
  dataDir: string
  /**
   * A PostgreSQL server for the services' databases, each made when it is not there: `postgres://user:password@host/shop` gives
   * `shop_orders` and so on. Default: the variable `BANYAN_DATABASE_URL`, else SQLite files in `dataDir`.
   */
  databaseUrl?: string
  /** Instead of the system's own `processes`. */
  processes?: Processes
  /** 0 takes a free one. Default 8080. */
  gatewayPort?: number
  /** Variables for all processes, besides those of this one; also `GATEWAY_ADMIN_PORT`, where the gateway's health and metrics are. Default: any free port. */
  env?: Readonly<Record<string, string>>
  /** What becomes of the processes' output. Default `pretty`. */
  log?: LogStyle
  write?: (line: string) => void
  /** How long everything may take until it is ready, milliseconds. Default 60,000. */
  readyTimeoutMs?: number
}

/** One process as it stands. */
export interface ProcessReport {
  readonly name: string
  readonly pid: number | undefined
  readonly state: string
  readonly restarts: number
}

export interface RunningSystem {
  /** `http://127.0.0.1:8080`; empty without a gateway. */
  readonly gatewayUrl: string
  /** Where the gateway's health and metrics are, when its file says `admin: ${GATEWAY_ADMIN_PORT}`. */
  readonly gatewayAdminUrl: string
  readonly registryUrl: string
  readonly traces: Pick<TraceCollector, 'spans'>
  processes(): readonly ProcessReport[]
  /**
   * Sends a signal to a process; resolves when it is gone. It is started again.
   *
   * @throws {CliError} `ERR_PROCESS_UNKNOWN`
   */
  kill(name: string, signal: NodeJS.Signals): Promise<void>
  /**
   * Kills a process and leaves it down, to see what the others do without it; resolves with what brings it back.
   *
   * @throws {CliError} `ERR_PROCESS_UNKNOWN`
   */
  takeDown(name: string): Promise<() => Promise<void>>
  /** Ends a process in good order and starts it anew, for changed code. */
  restart(name: string): Promise<void>
  /** Resolves when every process is ready. */
  waitReady(): Promise<void>
  /** Ends every process, within five seconds. Safe to call twice. */
  stop(): Promise<void>
}

const STOP_MS = 3_500
/** It has nothing to finish. */
const REGISTRY_STOP_MS = 1_000

/**
 * Starts a system on this machine: the trace collector in this process, everything else, the registry too, in processes of its
 * own that are kept running until `stop`. They end also when this process is killed.
 *
 * @throws {CliError} `ERR_PORT_TAKEN`, `ERR_DATA_FOLDER`, `ERR_PROCESS_FAILED`, `ERR_NOT_READY`; nothing is left running
 */
export async function startSystem(definition: SystemDefinition, options: StartSystemOptions): Promise<RunningSystem> {
  const { readyTimeoutMs = 60_000 } = options
  const world = systemWorld
  assertWritable(options.dataDir)
  const gatewayPort = definition.gateway === undefined ? 0 : await takePort(options.gatewayPort ?? 8080, 'the gateway')
  const adminPort = Number(options.env?.GATEWAY_ADMIN_PORT ?? (await freePort()))
  const ground = await startGround()
  const supervisors = await supervisorsOf(definition, options, { ...ground, gatewayPort, adminPort }, world).catch(async (error) => {
    await ground.stop()
    throw error
  })
  let stopping: Promise<void> | undefined
  const running: RunningSystem = {
    gatewayUrl: definition.gateway === undefined ? '' : `http://127.0.0.1:${gatewayPort}`,
    gatewayAdminUrl: `http://127.0.0.1:${adminPort}`,
    registryUrl: ground.registryUrl,
    traces: ground.collector,
    processes: () => supervisors.map(({ name, pid, state, restarts }) => ({ name, pid, state, restarts })),
    kill: async (name, signal) => find(supervisors, name).kill(signal),
    takeDown: async (name) => find(supervisors, name).takeDown(),
    restart: async (name) => find(supervisors, name).renew(),
    waitReady: () => within(world, readyTimeoutMs, supervisors, Promise.all(supervisors.map((one) => one.ready()))),
    stop() {
      stopping ??= (async () => {
        // The registry last: who leaves in good order takes its name out of it first.
        const [registries, others] = [supervisors.filter(isRegistry), supervisors.filter((one) => !isRegistry(one))]
        await Promise.all(others.map((one) => one.stop()))
        await Promise.all(registries.map((one) => one.stop()))
        await ground.stop()
      })()
      return stopping
    },
  }
  try {
    await within(world, readyTimeoutMs, supervisors, Promise.all(supervisors.map((one) => one.start())))
    return running
  } catch (error) {
    await running.stop()
    throw error
  }
}

interface Ground {
  readonly registryPort: number
  readonly registryUrl: string
  readonly collector: TraceCollector
  stop(): Promise<void>
}

/** What all processes stand on: where the registry will be, however often it starts, and who collects their traces. */
async function startGround(): Promise<Ground> {
  const [registryPort, collector] = await Promise.all([freePort(), traceCollector()])
  return { registryPort, registryUrl: `http://127.0.0.1:${registryPort}`, collector, stop: () => collector.stop() }
}

async function supervisorsOf(
  definition: SystemDefinition,
  options: StartSystemOptions,
  ground: Ground & { gatewayPort: number; adminPort: number },
  world: World,
): Promise<readonly Supervisor[]> {
  const { baseUrl, log = 'pretty', write = console.log, processes } = options
  const dataDir = resolve(options.dataDir)
  const groups = groupsOf(definition, processes)
  const programs = await Promise.all(
    Object.entries(definition.programs).map(async ([name, file]) => ({ name, file: fileAt(baseUrl, file), port: await freePort() })),
  )
  const names = [REGISTRY, ...groups.flatMap((group) => [group.name, ...group.services]), ...programs.map(({ name }) => name)]
  const onLine = logLines(log, write, Math.max(...names.map((name) => name.length)))
  const urls = Object.fromEntries(programs.map(({ name, port }) => [variableOf(name), `http://127.0.0.1:${port}`]))
  const env = {
    // Compiled sources are kept beside the data, so that a process that was killed is back in half the time.
    NODE_COMPILE_CACHE: join(dataDir, '.cache'),
    ...process.env,
    ...urls,
    GATEWAY_PORT: String(ground.gatewayPort),
    GATEWAY_ADMIN_PORT: String(ground.adminPort),
    ...(options.databaseUrl && { [DATABASE_VARIABLE]: options.databaseUrl }),
    ...options.env,
  }
  const common = { world, onLine, stopMs: STOP_MS }
  const own = groups.map((group) => {
    const plan: ProcessPlan = {
      name: group.name,
      services: Object.fromEntries(group.services.map((name) => [name, urlAt(baseUrl, definition.services[name] ?? '')])),
      gateway: group.gateway && definition.gateway ? { file: fileAt(baseUrl, definition.gateway), port: ground.gatewayPort } : undefined,
      dataDir,
      registryUrl: ground.registryUrl,
      collectorUrl: ground.collector.url,
    }
    return supervisor({ ...common, name: group.name, args: [processMain], env: { ...env, [PLAN_VARIABLE]: JSON.stringify(plan) } })
  })
  const outside = programs.map(({ name, file, port }) =>
    supervisor({ ...common, name, args: [file], env: { ...env, PORT: String(port), DATA_DIR: dataDir } }),
  )
  const stateFile = join(dataDir, 'registry.json')
  // It is for restarts of the registry while the system runs; whoever stood in it in an earlier run is gone.
  rmSync(stateFile, { force: true })
  const registryPlan: RegistryPlan = { port: ground.registryPort, stateFile }
  const registryEnv = { ...env, [REGISTRY_VARIABLE]: JSON.stringify(registryPlan) }
  return [...outside, ...own, supervisor({ ...common, name: REGISTRY, args: [registryMain], env: registryEnv, stopMs: REGISTRY_STOP_MS })]
}

/** The name of the registry's process. */
const REGISTRY = 'registry'

function isRegistry({ name }: Supervisor): boolean {
  return name === REGISTRY
}

const processMain = neighbour('process-main')
const registryMain = neighbour('registry-main')

/** This file is TypeScript in the workspace and JavaScript when published; its neighbours are of the same kind. */
function neighbour(name: string): string {
  return fileURLToPath(new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))
}

function assertWritable(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true })
    const probe = join(dataDir, `.writable-${process.pid}`)
    writeFileSync(probe, '')
    rmSync(probe)
  } catch (cause) {
    throw new CliError(
      'ERR_DATA_FOLDER',
      `cannot use the data folder "${dataDir}": ${messageOf(cause)}; name one that this user may write to with --data-dir`,
      { cause },
    )
  }
}

function find(supervisors: readonly Supervisor[], name: string): Supervisor {
  const found = supervisors.find((one) => one.name === name)
  if (found) return found
  const names = supervisors.map((one) => one.name)
  const near = nearest(name, names)
  throw new CliError(
    'ERR_PROCESS_UNKNOWN',
    `there is no process "${name}"${near ? `; did you mean "${near}"?` : ''} There are ${names.join(', ')}`,
  )
}

async function within(world: World, timeoutMs: number, supervisors: readonly Supervisor[], work: Promise<unknown>): Promise<void> {
  let timer: { cancel(): void } | undefined
  const late = new Promise<never>((_, reject) => {
    timer = world.after(timeoutMs, () => {
      const missing = supervisors.filter((one) => one.state !== 'ready').map((one) => one.name)
      reject(new CliError('ERR_NOT_READY', `not ready after ${timeoutMs} ms: ${missing.join(', ')}`))
    })
  })
  try {
    await Promise.race([work, late])
  } finally {
    timer?.cancel()
  }
}

function urlAt(baseUrl: string, path: string): string {
  return new URL(path, baseUrl).href
}

function fileAt(baseUrl: string, path: string): string {
  return fileURLToPath(urlAt(baseUrl, path))
}

function variableOf(program: string): string {
  return `${program.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_URL`
}
