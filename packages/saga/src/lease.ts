import { type Database, type Logger, messageOf, sleep, type World } from '@banyan/core'
import type { SagaOwner, SagaWorkers } from './store.ts'

export interface WorkerLeaseOptions {
  readonly database: Database
  readonly workers: SagaWorkers
  readonly world: World
  readonly log: Logger
  readonly workerId: string
  readonly leaseMs: number
  /** The worker is nobody now: what it holds belongs to others. */
  readonly onLost: () => void
  /** The worker is somebody, for the first time or again. */
  readonly onHeld: () => void
}

/** Who a worker is. One lease for all its sagas: renewing costs one row, however many there are. */
export interface WorkerLease {
  /** Takes an identity. Rejects when the database does. */
  start(): Promise<void>
  /** `undefined` while it is not sure that nobody has taken over: then nothing new may be begun. */
  owner(): SagaOwner | undefined
  /** Who it was last, as long as it has not heard that another one took its place: also while it is not sure. */
  identity(): SagaOwner | undefined
  /** Gives the identity, and with it all sagas, back. */
  stop(): Promise<void>
}

/**
 * Keeps a worker's lease.
 *
 * At first it takes `<workerId>/0`, whoever had it: a process that was restarted is itself again at once, and an epoch fences the
 * old one. Whoever loses its identity takes the next number that is free, so that two that live share peacefully.
 *
 * @see Kleppmann, Designing Data-Intensive Applications, chapter 8, "Fencing tokens"
 */
export function workerLease(options: WorkerLeaseOptions): WorkerLease {
  const { database, workers, world, log, workerId, leaseMs, onLost, onHeld } = options
  const stopping = new AbortController()
  let held: SagaOwner | undefined
  let renewedAt = 0
  let loop: Promise<void> | undefined

  const isSure = () => held !== undefined && world.monotonic() - renewedAt < leaseMs

  async function enlist(): Promise<void> {
    const first = loop === undefined
    for (let number = 0; ; number += 1) {
      const id = `${workerId}/${number}`
      const at = world.monotonic()
      const now = world.now()
      const epoch = await database.transaction((tx) => workers.enlist(tx, { id, now, leaseMs, force: first && number === 0 }))
      if (epoch === undefined) continue
      held = { worker: id, epoch }
      renewedAt = at
      log.info({ worker: id, epoch }, 'the saga worker has its lease')
      return onHeld()
    }
  }

  async function renew(owner: SagaOwner): Promise<void> {
    const at = world.monotonic()
    if (await database.transaction((tx) => workers.renew(tx, owner, world.now() + leaseMs))) {
      // Not asked before: what could not be begun while this was under way waits, too.
      const wasSure = isSure()
      renewedAt = at
      if (!wasSure) onHeld()
      return
    }
    log.warn({ ...owner }, 'the saga worker lost its lease: another one took its place while it was silent')
    held = undefined
    onLost()
    await enlist()
  }

  async function keep(): Promise<void> {
    while (!stopping.signal.aborted) {
      // Rejects only when stopping, which the loop's condition sees.
      await sleep(world, Math.floor(leaseMs / 3), stopping.signal).catch(() => {})
      if (stopping.signal.aborted) return
      try {
        await (held ? renew(held) : enlist())
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'the saga worker could not renew its lease; trying again')
      }
    }
  }

  /** So that others need not wait for its end. */
  async function giveBack(owner: SagaOwner): Promise<void> {
    try {
      await database.transaction((tx) => workers.renew(tx, owner, 0))
    } catch (error) {
      log.warn({ ...owner, error: messageOf(error) }, 'the saga worker could not give its lease back; it ends by itself')
    }
  }

  return {
    async start() {
      await enlist()
      loop = keep()
    },
    owner: () => (isSure() ? held : undefined),
    identity: () => held,
    async stop() {
      stopping.abort()
      await loop
      const owner = held
      held = undefined
      if (owner) await giveBack(owner)
    },
  }
}
