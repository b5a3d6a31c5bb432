import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { importPeer, peerFile } from '../peers.ts'
import { doStep, type SagaSite, type SagaSubject, STEPS, type StepResult } from './subject.ts'

/** What this benchmark uses of `@restatedev/restate-sdk`. */
interface SdkModule {
  service(definition: { name: string; handlers: Record<string, (ctx: RestateContext, key: string) => Promise<unknown>> }): unknown
  serve(options: { services: unknown[]; port: number; logger: () => void }): Promise<number>
}

interface RestateContext {
  run<T>(name: string, body: () => Promise<T>): Promise<T>
}

/** What this benchmark uses of `@restatedev/restate-sdk-clients`. */
interface ClientsModule {
  connect(options: { url: string }): { serviceClient(service: { name: string }): { place(key: string): Promise<unknown> } }
}

const START_MS = 30_000
/** Of 1, 4 and 24 (its default) the fastest on two processors. */
const PARTITIONS = 4

/** Four `ctx.run` in a service's handler, called through the ingress; the server from npm, its log synced as by default. */
export async function openRestate({ folder }: SagaSite): Promise<SagaSubject> {
  const sdk = await importPeer<SdkModule>('@restatedev/restate-sdk')
  const clients = await importPeer<ClientsModule>('@restatedev/restate-sdk-clients')
  const [ingress, admin, node, endpoint] = await freePorts(4)
  const server = startServer(folder, ingress, admin, node)
  const place = async (ctx: RestateContext, key: string) => {
    const results: Record<string, StepResult> = {}
    for (const name of STEPS) results[name] = await ctx.run(name, () => doStep(name, key))
    return results
  }
  await sdk.serve({ services: [sdk.service({ name: 'orders', handlers: { place } })], port: Number(endpoint), logger: () => {} })
  await register(`http://127.0.0.1:${admin}/deployments`, `http://127.0.0.1:${endpoint}`, server)
  const orders = clients.connect({ url: `http://127.0.0.1:${ingress}` }).serviceClient({ name: 'orders' })
  return {
    async run(key) {
      await orders.place(key)
    },
    async close() {
      const ended = once(server, 'exit')
      server.kill('SIGTERM')
      await ended
    },
  }
}

function startServer(folder: string, ...[ingress, admin, node]: (number | undefined)[]): ChildProcess {
  const binary = peerFile('@restatedev', `restate-server-${process.platform}-${process.arch}`, 'bin', 'restate-server')
  const server = spawn(binary, ['--no-logo', '--base-dir', join(folder, 'restate'), '--node-name', 'bench', '--log-filter', 'error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      // Its own temporary files go with the rest of the run.
      TMPDIR: folder,
      RESTATE_LISTEN_MODE: 'tcp',
      RESTATE_BIND_IP: '127.0.0.1',
      RESTATE_ADVERTISED_HOST: '127.0.0.1',
      RESTATE_BIND_PORT: String(node),
      RESTATE_INGRESS__BIND_PORT: String(ingress),
      RESTATE_ADMIN__BIND_PORT: String(admin),
      RESTATE_ADMIN__DISABLE_WEB_UI: 'true',
      RESTATE_DEFAULT_NUM_PARTITIONS: String(PARTITIONS),
      RESTATE_DISABLE_TELEMETRY: 'true',
    },
  })
  process.on('exit', () => server.kill('SIGKILL'))
  return server
}

/** Tells the server where the service is, as soon as it listens. */
async function register(url: string, uri: string, server: ChildProcess): Promise<void> {
  const until = performance.now() + START_MS
  let trouble: unknown
  while (performance.now() < until && server.exitCode === null) {
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ uri }),
      })
      if (answer.ok) return
      trouble = `${answer.status} ${await answer.text()}`
    } catch (error) {
      // It does not listen yet.
      trouble = error
    }
    await pause(100)
  }
  throw new Error(`cannot start Restate: no answer at ${url}`, { cause: trouble })
}

async function freePorts(count: number): Promise<number[]> {
  const probes = await Promise.all(
    Array.from({ length: count }, async () => {
      const probe = createServer().listen(0, '127.0.0.1')
      await once(probe, 'listening')
      return probe
    }),
  )
  const ports = probes.map((probe) => {
    const address = probe.address()
    return typeof address === 'object' && address ? address.port : 0
  })
  await Promise.all(probes.map(async (probe) => once(probe.close(), 'close')))
  return ports
}
