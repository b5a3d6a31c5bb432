import type { ComponentContext } from '@banyan/core'
import type { Endpoint } from './endpoint.ts'
import type { HealthReport } from './health.ts'
import type { HttpApp, HttpServer } from './http-server.ts'

/** What a component of a service is given when it starts. */
export interface ServiceContext extends ComponentContext {
  /** The Hono app. Routes can be added until all components have started. */
  readonly http: HttpApp
  /** The contracts, answered alike over every transport. */
  readonly endpoint: Endpoint
  /** Hands a request of the app to the endpoint. */
  readonly answer: HttpServer['answer']
  /** The address the service listens on; for components that listen on a port of their own. */
  readonly host: string
  /** What `/health/ready` says. */
  readonly health: () => Promise<HealthReport>
  /** Adds to what the registry is told of this instance, such as a further port. Until all components have started. */
  readonly announce: (meta: Readonly<Record<string, string>>) => void
  /**
   * Has `close` called at a stop, beside the HTTP server's own: no new calls, those in flight to their end, within `finishMs`. Before
   * any component is stopped.
   */
  readonly onDrain: (close: (finishMs: number) => Promise<void>) => void
}
