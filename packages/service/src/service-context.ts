import type { ComponentContext } from '@banyan/core'
import type { Endpoint } from './endpoint.ts'
import type { HttpApp, HttpServer } from './http-server.ts'

/** What a component of a service is given when it starts. */
export interface ServiceContext extends ComponentContext {
  /** The Hono app. Routes can be added until all components have started. */
  readonly http: HttpApp
  /** The contracts, answered alike over every transport. */
  readonly endpoint: Endpoint
  /** Hands a request of the app to the endpoint. */
  readonly answer: HttpServer['answer']
}
