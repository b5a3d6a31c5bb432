/** Chooses among endpoints, which are slots of an `EndpointTable`. All takes constant time and `next` allocates nothing. */
export interface Balancer {
  /** Among how many it chooses. */
  readonly size: number
  /** Takes `slot` in, or takes in its new weight, 0 to 65,535; 0 takes it out. */
  weigh(slot: number, weight: number): void
  /** One of them, -1 when there are none. `key` is a 32-bit hash of what the call is about; a random one when it is about nothing. */
  next(now: number, key: number): number
  /** Whether `next` reads `now`. False: the clock, a third of what a pick costs, is not read for it, and `now` may be `NaN`. Default true. */
  readonly timed?: boolean
}
