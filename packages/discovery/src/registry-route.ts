import type { Access } from './registry-access.ts'

/** A request as a route sees it. */
export interface RegistryRequest {
  /** The decoded last part of the path, if the route has one. */
  name: string
  query: URLSearchParams
  body: () => Promise<unknown>
  /** What its sender may do. */
  access: Access
  /** Aborts when nobody waits for the answer. */
  gone: AbortSignal
}

/** An answer: its JSON as text or its bytes, empty for none, the `X-Consul-Index` where it has one, and its status when that is not 200. */
export interface RegistryAnswer {
  json: string | Buffer
  index?: number
  code?: number
}

/** One path of Consul's API. */
export interface Route {
  method: 'GET' | 'PUT'
  /** Ends with `/` when a name follows. */
  path: string
  answer: (request: RegistryRequest) => Promise<RegistryAnswer> | RegistryAnswer
}
