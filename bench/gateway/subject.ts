/** What a contestant's process is asked to serve. */
export interface ServeOptions {
  /** The only upstream, on 127.0.0.1. */
  readonly originPort: number
  /** Gives up on a slow head, body or upstream after a second or two, so that the corpus is soon through. Otherwise as it comes. */
  readonly isHasty: boolean
  /** Routes besides the one that is used; ours only. */
  readonly moreRoutes: number
}

/** Where a contestant listens. */
export interface Serving {
  readonly port: number
  /** What a request needs to be let through. */
  readonly headers?: Readonly<Record<string, string>>
  /** Changes one route; ours only. */
  readonly changeRoute?: () => Promise<void>
}

/** One proxy: everything under `/` goes to the origin, over kept connections; nothing is logged unless its name says so. */
export interface GatewaySubject {
  /** Listens; lives until its process ends. */
  serve(options: ServeOptions): Promise<Serving>
}

/** How long a hasty contestant waits for a client's head, a client's body and the upstream. */
export const HASTY = { headMs: 1_000, bodyMs: 2_000, upstreamMs: 2_000 } as const

/** The same for contestants on `node:http`. */
export function httpServerOptions(isHasty: boolean): object {
  return isHasty ? { headersTimeout: HASTY.headMs, requestTimeout: HASTY.bodyMs, connectionsCheckingInterval: 200 } : {}
}

/** What the origin answers, and the floor. */
export const HELLO = 'hello, world\n'
