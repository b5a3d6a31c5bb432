import type { Database, Logger, World } from '@banyan/core'
import { after, type Lease, type LeaseEvent } from './lease.ts'
import { type OutboxLog, outboxLogPort, type PartitionState } from './ports.ts'

/** A relay's right to move a partition: worth nothing in the store once another has a later epoch. */
export interface Turn {
  readonly epoch: number
  /** Everything up to this position was sent when the turn began. */
  readonly done: number
  /** Milliseconds since 1970. */
  expiresAt: number
}

/** The answer to a claim: the turn, or whose it is and when to ask again. */
export type Claimed =
  | { readonly kind: 'mine'; readonly turn: Turn }
  | { readonly kind: 'busy'; readonly lease: Lease; readonly done: number; readonly waitMs: number }

export interface TurnOptions {
  readonly database: Database
  readonly world: World
  readonly log: Logger
  readonly partition: number
  /** Unique among all relays. */
  readonly owner: string
  readonly leaseMs: number
}

/** Takes the lease when it is free or its time is over; else says how long that will be. Remembers what it saw from one call to the next. */
export function claimer(options: TurnOptions): () => Promise<Claimed> {
  const { world } = options
  let seen: { readonly lease: Lease; readonly atMs: number } | undefined
  return async () => {
    const claimed = await claim(options, (lease) => (seen && isSame(seen.lease, lease) ? world.monotonic() - seen.atMs : 0))
    if (claimed.kind === 'mine') seen = undefined
    else if (!seen || !isSame(seen.lease, claimed.lease)) seen = { lease: claimed.lease, atMs: world.monotonic() }
    return claimed
  }
}

function isSame(one: Lease, other: Lease): boolean {
  return one.epoch === other.epoch && one.kind === 'held' && other.kind === 'held' && one.expiresAt === other.expiresAt
}

async function claim(options: TurnOptions, unchangedMs: (lease: Lease) => number): Promise<Claimed> {
  const { owner, leaseMs, world } = options
  const asked = (lease: Lease): LeaseEvent => ({ kind: 'claim', owner, leaseMs, unchangedMs: unchangedMs(lease) })
  const { lease, done, changed } = await change(options, asked)
  if (lease.kind === 'free') throw new Error('a claimed lease cannot be free')
  if (changed) return { kind: 'mine', turn: { epoch: lease.epoch, done, expiresAt: lease.expiresAt } }
  return { kind: 'busy', lease, done, waitMs: Math.max(1, Math.min(leaseMs, lease.expiresAt - world.now())) }
}

/** Does `work` while the lease is renewed, so that a slow bus does not make others take over. */
export async function whileRenewing<T>(options: TurnOptions, turn: Turn, work: () => Promise<T>): Promise<T> {
  const { world, log, leaseMs, partition } = options
  let timer = world.after(leaseMs / 3, renew)
  let renewing: Promise<void> = Promise.resolve()
  let ended = false

  function renew(): void {
    renewing = change(options, () => ({ kind: 'renew', epoch: turn.epoch, leaseMs }))
      .then(
        ({ lease, changed }) => {
          if (changed && lease.kind === 'held') turn.expiresAt = lease.expiresAt
          // Without it others take over, and what this relay marks is refused: safe, only slower.
        },
        (error: unknown) => log.warn({ error, partition }, 'cannot renew the lease of the outbox'),
      )
      .then(() => {
        if (!ended) timer = world.after(leaseMs / 3, renew)
      })
  }

  try {
    return await work()
  } finally {
    ended = true
    timer.cancel()
    await renewing
  }
}

/** Gives the lease back, so that another need not wait for its end. */
export async function release(options: TurnOptions, turn: Turn): Promise<void> {
  await change(options, () => ({ kind: 'release', epoch: turn.epoch }))
}

async function change(
  { database, world, partition }: TurnOptions,
  eventFor: (lease: Lease) => LeaseEvent,
): Promise<PartitionState & { changed: boolean }> {
  const outbox: OutboxLog = database.store(outboxLogPort)
  return database.transaction(async (tx) => {
    const { lease, done } = await outbox.load(tx, partition)
    const next = after(lease, eventFor(lease), world.now())
    if (next === lease) return { lease, done, changed: false }
    await outbox.saveLease(tx, partition, next)
    return { lease: next, done, changed: true }
  })
}
