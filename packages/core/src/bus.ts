import type { Envelope } from './envelope.ts'

/** Carries events between services. */
export interface Bus {
  readonly features: BusFeatures
  /**
   * Resolves once the whole batch is durably accepted. Envelopes of one subject keep their order. Safe to repeat: receivers
   * deduplicate by id. Rejects with the code `ERR_BUS_REFUSED` where trying again cannot help (too large, not allowed): the relay
   * then parks the event's key. Any other rejection is tried again.
   */
  publish(batch: readonly Envelope[]): Promise<void>
  /**
   * Delivers every event of `types` to one member of `group` at a time, at least once, from the first event the group has
   * not handled. A new group starts at the oldest event kept.
   */
  subscribe(subscription: BusSubscription): Promise<Subscription>
  /** Stops all subscriptions of this handle and closes it. */
  close(): Promise<void>
}

export interface BusFeatures {
  /** `key`: events of one subject arrive in the order they were published. */
  readonly ordering: 'key' | 'none'
  /** Whether a batch whose handler failed comes again by itself. */
  readonly redelivery: boolean
  /** Whether a new group gets events from before it was made. */
  readonly replay: boolean
}

export interface BusSubscription {
  /** Consumers of one group share the events; each group gets them all. */
  group: string
  types: readonly string[]
  /** Resolving acknowledges the whole batch; rejecting brings it again after a pause. Batches of one subscription never overlap. */
  handle: (batch: readonly Delivery[]) => Promise<void>
}

/** One event as it came: undecodable ones too, so that they become dead letters and do not block the rest. */
export interface Delivery {
  /** The envelope, or `undefined` when `raw` could not be read. */
  readonly envelope: Envelope | undefined
  /** The bytes as text. */
  readonly raw: string
  /** Where it stands in the bus, for people: `12` or `orders-3@120`. */
  readonly position: string
  /** The same for programs, where the bus has such places; see {@link DeliveryPlace}. */
  readonly place?: DeliveryPlace
}

/**
 * Where an event stands in an ordered part of a bus. A group gets the events of one partition in the order of their offsets, so
 * one that it has acknowledged says the same of all before it: a redelivery is known for ever by one number a partition.
 */
export interface DeliveryPlace {
  /** Unique in the bus, and not used again when the bus is made anew: `f3a91c02/order.placed/3`. */
  readonly partition: string
  /** A whole number; grows along the partition, with gaps. */
  readonly offset: number
}

export interface Subscription {
  /** Stops delivering and resolves when the batch in flight is done. */
  stop(): Promise<void>
}
