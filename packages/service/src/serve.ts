import {
  type Api,
  type Component,
  type Database,
  databaseOf,
  isServedOver,
  type Logger,
  type Operation,
  type OperationAnswer,
  type OperationRequest,
  type World,
} from '@banyan/core'
import type { HttpApp } from './http-server.ts'
import type { PlainRequest } from './read-request.ts'
import type { RequestScope } from './request-scope.ts'
import type { ServiceContext } from './service-context.ts'

/** What a handler may use. */
export interface HandlerContext {
  /** The service's database. @throws `ERR_NO_DATABASE` when it has none */
  readonly database: Database
  /** One transaction of the service's database. */
  readonly transaction: Database['transaction']
  readonly log: Logger
  readonly world: World
  /** Aborted when the caller's time is up or it has gone. Clients called in a handler heed it by themselves. */
  readonly signal: AbortSignal
  /** Milliseconds until the caller stops waiting, at the moment it is read. */
  readonly remainingMs: number
  readonly traceId: string
}

/** Answers one operation: with what its response's schema accepts, or a refusal. */
export type Handler<O extends Operation> = (
  request: OperationRequest<O>,
  context: HandlerContext,
) => OperationAnswer<O> | Promise<OperationAnswer<O>>

/** One handler for each operation of a contract. */
export type Handlers<A extends Api> = { readonly [Name in keyof A['operations']]: Handler<A['operations'][Name]> }

/**
 * Serves a contract. Before a handler runs: the body's size and type, the JSON, the idempotency key, the contract, the caller's
 * deadline. After it: the contract again. Whatever goes wrong is answered with a problem (RFC 9457): an error with a `status`
 * says its code and message, any other is logged and hidden behind 500.
 *
 * @throws {TypeError} when a handler is missing or belongs to no operation
 */
export function serve<A extends Api>(api: A, handlers: Handlers<A>): Component<ServiceContext> {
  const name = `serve ${api.name}`
  const operations: Readonly<Record<string, Operation>> = api.operations
  // A mapped type over an unknown contract cannot be indexed by text; the check below makes sure of every one.
  const known = handlers as unknown as Readonly<Record<string, Handler<Operation>>>
  for (const operation of Object.keys(operations)) {
    if (typeof known[operation] !== 'function') throw new TypeError(`cannot serve "${api.name}": no handler for "${operation}"`)
  }
  for (const handler of Object.keys(known)) {
    if (!operations[handler]) throw new TypeError(`cannot serve "${api.name}": the contract has no operation "${handler}"`)
  }
  return {
    name,
    async start(context) {
      for (const [operationName, operation] of Object.entries(operations)) {
        const handler = known[operationName] as Handler<Operation>
        const answer = (request: PlainRequest, scope: RequestScope) =>
          // The request was checked against the operation's schemas, which is what its type says.
          handler(request as OperationRequest<Operation>, new Context(context, name, scope))
        context.endpoint.add({ name: `${api.name}.${operationName}`, operation, answer })
        if (!isServedOver(operation, 'http')) continue
        context.http.on(operation.method, operation.path.replace(/\{([^}]+)\}/g, ':$1'), context.answer)
      }
    },
    async stop() {},
  }
}

/**
 * Adds routes and middleware of your own beside the contracts: `routes((app) => app.get('/version', (c) => c.text('3')))`. They
 * are for HTTP alone: calls inside one process go to the contracts only. Add it before `serve` for middleware to come first.
 */
export function routes(add: (app: HttpApp, context: ServiceContext) => void, name: string = 'routes'): Component<ServiceContext> {
  return {
    name,
    async start(context) {
      add(context.http, context)
    },
    async stop() {},
  }
}

/** A class, as one is made for each request: see `Scope` in request-scope.ts. */
class Context implements HandlerContext {
  readonly log: Logger
  readonly world: World
  readonly #context: ServiceContext
  readonly #component: string
  readonly #scope: RequestScope

  constructor(context: ServiceContext, component: string, scope: RequestScope) {
    this.log = context.log
    this.world = context.world
    this.#context = context
    this.#component = component
    this.#scope = scope
  }

  get database(): Database {
    return databaseOf(this.#context, this.#component)
  }

  // Bound by need: handlers take it out of the context.
  get transaction(): Database['transaction'] {
    return (body) => this.database.transaction(body)
  }

  get signal(): AbortSignal {
    return this.#scope.signal
  }

  get remainingMs(): number {
    return this.#scope.remainingMs()
  }

  get traceId(): string {
    return this.#scope.traceId
  }
}
