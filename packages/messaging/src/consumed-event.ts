import type { Database, Envelope, EventData, EventType, Logger, Transaction, World } from '@banyan/core'

/** One event type, or several. */
export type EventTypes = EventType | readonly EventType[]

/** An event as a handler gets it; of several types, `type` tells which `data` it is. */
export type ConsumedEvent<T extends EventTypes> = T extends readonly (infer E)[] ? EventOf<E> : EventOf<T>

type EventOf<E> =
  E extends EventType<infer Name>
    ? {
        readonly type: Name
        /** Upcast to the version this program knows, after the schema. */
        readonly data: EventData<E>
        /** The envelope's id: the same however often it comes. */
        readonly id: string
        /** What it keeps its order in. */
        readonly key: string
        readonly envelope: Envelope
      }
    : never

/** Does what the event leads to. Its writes, and what it publishes, commit together with the note that the event is handled. */
export type EventHandler<T extends EventTypes, Prepared> = (event: ConsumedEvent<T>, tx: Transaction, prepared: Prepared) => Promise<void>

/** What `prepare` may use. */
export interface PrepareContext {
  /** What its transactions publish carries on the event's correlation, causation and trace. They commit by themselves, whatever the handler does. */
  readonly database: Database
  readonly world: World
  readonly log: Logger
  /** Aborts when the time for `prepare` is over. */
  readonly signal: AbortSignal
}

/** Runs before the transaction, at least once: the place for calls to other systems. */
export type Prepare<T extends EventTypes, Prepared> = (event: ConsumedEvent<T>, context: PrepareContext) => Promise<Prepared>
