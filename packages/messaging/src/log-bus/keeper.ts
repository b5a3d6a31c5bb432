import type { Logger, Timer } from '@banyan/core'
import type { BusReader } from './reader.ts'
import { signal } from './signal.ts'
import type { BusSettings, BusStore } from './store.ts'

export interface BusKeeperOptions {
  store: BusStore
  settings: BusSettings
  /** The bus handle whose members it keeps alive. */
  handle: string
  readers: ReadonlySet<BusReader>
}

/** Does what all subscriptions of a bus handle need done now and then, in as few writes as possible. */
export interface BusKeeper {
  /** Some reader has moved on: save it within `saveMs`. */
  moved(): void
  stop(): Promise<void>
}

const PRUNE_EVERY_MS = 60_000
const PRUNE_AT_ONCE = 1_000

/** Starts a {@link BusKeeper}: renews the leases, watches for members that come and go, saves positions, prunes the log. */
export function busKeeper(options: BusKeeperOptions): BusKeeper {
  const { world, log, saveMs, leaseMs } = options.settings
  const stops = signal(world)
  let stopped = false
  let saving: Timer | undefined
  let renewAt = world.monotonic() + leaseMs / 2
  let pruneAt = world.monotonic() + PRUNE_EVERY_MS * world.random()

  async function run(): Promise<void> {
    while (!stopped) {
      await attempt(log, 'keep the leases of the bus', tend)
      await stops.wait(Math.max(1, Math.min(renewAt - world.monotonic(), await nextLook(options))))
    }
  }

  async function tend(): Promise<void> {
    if (world.monotonic() >= renewAt) {
      renewAt = world.monotonic() + leaseMs / 2
      await renew(options)
    }
    if (world.monotonic() >= pruneAt) {
      pruneAt = world.monotonic() + PRUNE_EVERY_MS
      await prune(options)
    }
  }

  const running = run()
  return {
    moved() {
      if (saving || stopped) return
      if (![...options.readers].some((reader) => reader.unsaved(false).length > 0)) return
      saving = world.after(saveMs, () => {
        saving = undefined
        void attempt(log, 'save the positions of the bus', () => save(options))
      })
    },
    async stop() {
      stopped = true
      saving?.cancel()
      stops.set()
      await running
    },
  }
}

async function renew({ store, handle, readers, settings: { world, leaseMs } }: BusKeeperOptions): Promise<void> {
  const from = world.monotonic()
  const members = await store.groups.renew(handle, leaseMs)
  for (const reader of readers) {
    if (members.includes(reader.member.id)) reader.renewed(from + leaseMs)
    else reader.rejoin()
  }
}

/** Looks whether shares have changed. @returns in how many milliseconds to look again: when a silent member's lease runs out */
async function nextLook({ store, readers, settings: { log, leaseMs } }: BusKeeperOptions): Promise<number> {
  let soonest = leaseMs / 2
  for (const reader of readers) {
    await attempt(log, 'look at the members of a bus group', async () => {
      const { changes, nextExpiryMs } = await store.groups.look(reader.member)
      if (changes) reader.rejoin()
      soonest = Math.min(soonest, nextExpiryMs + 1)
    })
  }
  return soonest
}

async function save({ store, readers }: BusKeeperOptions): Promise<void> {
  const work = [...readers].map((reader) => ({ reader, unsaved: reader.unsaved(false) })).filter(({ unsaved }) => unsaved.length > 0)
  if (work.length === 0) return
  const written = await store.groups.save(work.map(({ reader, unsaved }) => ({ member: reader.member, unsaved })))
  for (const [index, { reader, unsaved }] of work.entries()) {
    const partitions = written[index] ?? []
    reader.saved(unsaved.filter(({ partition }) => partitions.includes(partition)))
    // What was not written belongs to somebody else by now.
    if (partitions.length < unsaved.length) reader.rejoin()
  }
}

async function prune({ store, settings: { world, retentionMs } }: BusKeeperOptions): Promise<void> {
  for (let deleted = PRUNE_AT_ONCE; deleted === PRUNE_AT_ONCE; ) {
    deleted = await store.log.prune(world.now() - retentionMs, PRUNE_AT_ONCE)
  }
}

/** A keeper outlives a busy or full disk: what failed is logged and done again at its next time. */
async function attempt(log: Logger, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    log.warn({ error }, `cannot ${what}; trying again`)
  }
}
