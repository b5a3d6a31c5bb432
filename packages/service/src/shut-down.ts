import { type Component, type Logger, messageOf, type Registration, sleep, type World } from '@banyan/core'
import type { Endpoint } from './endpoint.ts'
import type { HttpServer } from './http-server.ts'
import type { ServiceContext } from './service-context.ts'

/** What there is to undo. */
export interface Started {
  /** In the order of their starts; the last may have failed half-way. */
  readonly components: Component<ServiceContext>[]
  registration?: Registration
  detach?: (() => void) | undefined
  /** Ends the listeners of components. */
  readonly closers: ((finishMs: number) => Promise<void>)[]
}

interface ShutDownOptions {
  readonly name: string
  readonly settings: { readonly world: World; readonly log: Logger; readonly finishMs: number }
  readonly http: HttpServer
  readonly endpoint: Endpoint
  readonly started: Started
  readonly drainMs: number
}

/**
 * Stops a service so that nobody notices: out of the registry, a pause for those who watch it, no new requests, the ones in
 * flight to their end, then the components from last to first. Each part is bounded in time; a part that fails is logged and
 * the next one goes on.
 */
export async function shutDown(options: ShutDownOptions): Promise<void> {
  const { name, http, endpoint, started, drainMs } = options
  const { world, log, finishMs } = options.settings
  const part = (what: string, work: () => Promise<unknown>) => bounded(world, log, `${what} of service "${name}"`, finishMs, work)
  const { registration } = started
  if (registration) {
    await part('leaving the registry', () => registration.deregister())
    http.leave()
    await sleep(world, drainMs)
  }
  started.detach?.()
  await Promise.all([http.close(finishMs), ...started.closers.map((close) => part('closing a listener', () => close(finishMs)))])
  if (!(await endpoint.idle(finishMs))) log.warn({}, `handlers of service "${name}" still run after ${finishMs} ms; stopping all the same`)
  for (const component of [...started.components].reverse()) {
    await part(`stopping "${component.name}"`, () => component.stop())
  }
}

/** Waits for `work`, but no longer than `timeoutMs`; failures are logged. */
function bounded(world: World, log: Logger, what: string, timeoutMs: number, work: () => Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = world.after(timeoutMs, () => {
      log.error({}, `${what} took longer than ${timeoutMs} ms; going on without it`)
      resolve()
    })
    const end = () => {
      timer.cancel()
      resolve()
    }
    Promise.resolve()
      .then(work)
      .then(end, (error: unknown) => {
        log.error({ error }, `${what} failed: ${messageOf(error)}`)
        end()
      })
  })
}
