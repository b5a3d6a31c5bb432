// The program of each process of a system: the services its plan names, the gateway if it says so. Imports are lean and late,
// because a system starts a dozen of these at once.
import { messageOf } from '@banyan/core'
import { redisRateLimits } from '@banyan/redis'
import type { ServiceModule } from '@banyan/service'
import { PLAN_VARIABLE, type ProcessMessage, type ProcessPlan } from './process-plan.ts'
import { DATABASE_VARIABLE } from './service-database.ts'

interface Stoppable {
  stop(): Promise<void>
}

const running: Stoppable[] = []
let ending: Promise<void> | undefined

// The terminal sends Ctrl-C to all processes of a system; the one that started them says when to end.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => void end(0))
// Whoever started this process is gone, perhaps by kill -9: nothing is left behind.
process.on('disconnect', () => void end(0))

try {
  await run(planOf(process.env[PLAN_VARIABLE]))
  tell({ ready: true })
} catch (error) {
  tell({ failed: messageOf(error) })
  console.error(error)
  await end(1)
}

async function run(plan: ProcessPlan): Promise<void> {
  const { processHost } = await import('./host.ts')
  const { name, dataDir, registryUrl, collectorUrl, services, gateway } = plan
  const databaseUrl = process.env[DATABASE_VARIABLE]
  const host = await processHost({ name, dataDir, registryUrl, databaseUrl, collectors: [collectorUrl], env: process.env })
  running.push({ stop: host.close })
  // Created first, started together: services of one process find each other whatever the order.
  const modules = await Promise.all(Object.entries(services).map(([service, url]) => moduleOf(service, url)))
  const made = await Promise.all(modules.map((make) => make(host)))
  running.push(...made)
  await Promise.all(made.map((service) => service.start()))
  if (gateway) running.push(await startGateway(gateway, host))
}

async function moduleOf(service: string, url: string): Promise<ServiceModule> {
  const { default: make }: { default?: ServiceModule } = await import(url)
  if (typeof make === 'function') return make
  const wanted = 'wanted export default (host: Host) => Service'
  throw new TypeError(`the module of service "${service}", ${url}, has no default export that makes a service; ${wanted}`)
}

async function startGateway({ file, port }: { file: string; port: number }, host: import('./host.ts').ProcessHost): Promise<Stoppable> {
  const { gateway } = await import('@banyan/gateway')
  const { registry, metrics, world, log } = host
  const made = gateway({ file, port, registry, rateLimits: (url) => redisRateLimits({ url, world, log }), metrics, world, log })
  await made.start()
  return made
}

/** Stops in the reverse order of starting: the gateway, the services side by side, then what they stood on. */
function end(code: number): Promise<void> {
  ending ??= (async () => {
    const [host, ...rest] = running
    try {
      await Promise.all(rest.reverse().map((one) => one.stop()))
      await host?.stop()
    } catch (error) {
      console.error(error)
      process.exit(1)
    }
    process.exit(code)
  })()
  return ending
}

function tell(message: ProcessMessage): void {
  // Started by hand it has nobody to tell.
  process.send?.(message)
}

function planOf(text: string | undefined): ProcessPlan {
  if (!text) throw new Error(`no plan in the variable ${PLAN_VARIABLE}: this program is started by "banyan dev"`)
  return JSON.parse(text) as ProcessPlan
}
