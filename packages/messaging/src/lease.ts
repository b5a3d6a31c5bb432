/**
 * Who may move one partition of an outbox. The epoch is the fence (a "fencing token"): it grows with every change of owner,
 * and the store takes progress only from the current one, so a relay that slept through its lease changes nothing.
 *
 * @see Kleppmann, Designing Data-Intensive Applications, chapter 8, "Fencing tokens"
 */
export type Lease =
  | { readonly kind: 'free'; readonly epoch: number }
  | { readonly kind: 'held'; readonly epoch: number; readonly owner: string; readonly expiresAt: number }

export type LeaseEvent =
  /** A relay that does not hold it asks for it; it has seen it unchanged for `unchangedMs`, by a clock that nobody sets. Default 0. */
  | { readonly kind: 'claim'; readonly owner: string; readonly leaseMs: number; readonly unchangedMs?: number }
  /** The holder of `epoch` wants more time. */
  | { readonly kind: 'renew'; readonly epoch: number; readonly leaseMs: number }
  /** The holder of `epoch` gives it back. */
  | { readonly kind: 'release'; readonly epoch: number }

/** After how many times its length a lease that stands still is a dead one's: holders renew three times within one. */
const STILL = 3

/** The lease of a partition nobody has held yet. */
export const UNHELD: Lease = { kind: 'free', epoch: 0 }

/**
 * The lease after `event`; the very same object when the event is refused.
 *
 * A holder may renew after its time as long as nobody else took over: the epoch decides, clocks only say when to try. A clock that was
 * set back makes a dead holder's time long: whoever has watched the lease stand still for long enough need not wait for its end.
 */
export function after(lease: Lease, event: LeaseEvent, now: number): Lease {
  switch (event.kind) {
    case 'claim':
      if (lease.kind === 'held' && lease.expiresAt > now && (event.unchangedMs ?? 0) < STILL * event.leaseMs) return lease
      return { kind: 'held', epoch: lease.epoch + 1, owner: event.owner, expiresAt: now + event.leaseMs }
    case 'renew':
      if (lease.kind === 'free' || lease.epoch !== event.epoch) return lease
      return { ...lease, expiresAt: now + event.leaseMs }
    case 'release':
      if (lease.kind === 'free' || lease.epoch !== event.epoch) return lease
      return { kind: 'free', epoch: lease.epoch }
  }
}
