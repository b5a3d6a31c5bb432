import type { Refusal } from '@banyan/core'
import { callInRun } from './explore-run.ts'

/** The call an operation answers. */
export interface OperationCall {
  /** The request's `key`; empty when it has none. */
  readonly key: string
  /** The schedule wants this refusal. An operation of several steps gives it where it would; any other gives it by itself. */
  readonly refusal: string | undefined
  /** Says: here the outside world changed, under this key. An operation with a `guard` says it by itself. */
  did(): void
  /** Says: here the change was taken back. */
  undid(): void
}

/** Runs one atomic step of an operation: what it changes in `state` is kept, unless it throws. */
export type AtomicStep<State> = <T>(step: (state: State) => T) => Promise<T>

interface Refusable {
  /** The refusals it may give for reasons of its own: the explorer lets it give each of them, as one fault. Default: none. */
  readonly refusals?: readonly string[]
}

interface Guarded {
  /** Runs under `participant()` of `@banyan/saga`, under this operation's name: `do` once, empty `undo`, late `do` refused. */
  readonly guard: string
  /** What of the request must not change under one key. Default: not checked. */
  fingerprint?(request: never): unknown
}

/**
 * What a simulated service does when it is called. A function is one atomic step. The bodies change `state` in place; when they
 * throw, nothing has changed. They may be async, but must not wait for timers, sockets or files.
 */
export type Operation<State> =
  | ((state: State, request: never, call: OperationCall) => unknown)
  | (Refusable & { readonly run: (state: State, request: never, call: OperationCall) => unknown })
  /** Several atomic steps, as an operation with several transactions, or with calls of its own in between. */
  | (Refusable & { readonly steps: (atomic: AtomicStep<State>, request: never, call: OperationCall) => Promise<unknown> })
  | (Refusable & Guarded & { readonly do: (state: State, request: never, call: OperationCall) => unknown })
  | (Guarded & { readonly undo: (state: State, request: never, call: OperationCall) => unknown })

/** The operations of a service by name. */
export type Operations<State> = Readonly<Record<string, Operation<State>>>

/** A service that takes part in a saga, simulated. */
export interface SimulatedService<State = unknown, Ops extends Operations<never> = Operations<never>> {
  /** How its state is at the start: plain data. */
  readonly state: State
  readonly operations: Ops
  /** Its operations, for the steps of a saga to call. */
  readonly client: ClientOf<Ops>
}

/** The operations of a service, as steps call them. */
export type ClientOf<Ops> = { readonly [Name in keyof Ops]: (request: RequestOf<Ops[Name]>) => Promise<AnswerOf<Ops[Name]>> }

type RequestOf<Op> = BodyOf<Op> extends (first: never, request: infer Request, ...rest: never[]) => unknown ? Request : unknown
type AnswerOf<Op> =
  | Awaited<ReturnType<BodyOf<Op>>>
  | (Op extends { readonly refusals: readonly (infer Reason extends string)[] } ? Refusal<Reason> : never)
  | (Op extends { readonly guard: string; readonly do: unknown } ? Refusal<'cancelled'> : never)
  | (Op extends { readonly undo: unknown } ? undefined : never)

type AnyBody = (first: never, request: never, call: OperationCall) => unknown
type BodyOf<Op> = Op extends AnyBody
  ? Op
  : Op extends { readonly run: infer Body extends AnyBody }
    ? Body
    : Op extends { readonly steps: infer Body extends AnyBody }
      ? Body
      : Op extends { readonly do: infer Body extends AnyBody }
        ? Body
        : Op extends { readonly undo: infer Body extends AnyBody }
          ? Body
          : never

/**
 * A service for {@link explore}: its state, and what its operations do to it. The explorer keeps a copy of the state for each
 * moment it looks at, so it must be plain data (what JSON can carry).
 */
export function service<State extends object, const Ops extends Operations<State>>(spec: {
  state: State
  operations: Ops
}): SimulatedService<State, Ops> {
  const made = { state: spec.state, operations: spec.operations }
  return { ...made, client: clientOf(spec.operations) }
}

/** The operations as steps call them. `name`: what the service is called; left out, it is known by its operations. */
export function clientOf<Ops extends object>(operations: Ops, name?: string): ClientOf<Ops> {
  const methods = Object.keys(operations).map((operation) => [
    operation,
    (request: unknown) => callInRun({ operations, name }, operation, request),
  ])
  // One method for each operation, typed by it; TypeScript cannot follow Object.keys.
  return Object.fromEntries(methods) as ClientOf<Ops>
}
