import { type Bus, type Logger, sleep, systemWorld, type World } from '@banyan/core'
import { type BusStore, logBus, signal } from '@banyan/messaging/internal'
import { LONGEST_LEASE_MS, postgresGroups } from './bus-groups.ts'
import { appendEvents, BUS_LOG, identityOf, pruneEvents, readEvents } from './bus-log.ts'
import { openDatabase } from './database.ts'
import { defaultLog } from './default-log.ts'
import { type FenceWatch, fenceWatch } from './fence-watch.ts'
import { busMigrations } from './migrations/bus.ts'
import { type WakeUps, wakeUps } from './notify.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import { PostgresError } from './postgres-error.ts'

export interface PostgresBusOptions {
  world?: World
  /** Default: warnings and errors to stderr. */
  log?: Logger
  /** How often to look for events while there are some, milliseconds, from 1. Mostly a notification comes sooner. Default 5. */
  pollMs?: number
  /** How often to look while nothing happens, milliseconds, from `pollMs`. Default 1,000. */
  idlePollMs?: number
  /** After how long a silent process is taken for dead and its keys go to others, milliseconds, 100 to 60,000. Renewed at half of it. Default 1,800. */
  leaseMs?: number
  /** How long positions may wait to be saved, milliseconds, from 1: a killed process repeats at most that much. Default 200. */
  saveMs?: number
  /** The most events in one batch, from 1. Default 256. */
  maxBatch?: number
  /** How long events are kept, milliseconds, from 0; longer while a known group has not handled them. Default 7 days. */
  retentionMs?: number
  /** How many connections, from 2, besides one for notifications. Default 4. */
  maxConnections?: number
  /** Whether statements are prepared once and kept. Turn it off behind PgBouncer, in transaction mode always. Default true. */
  prepare?: boolean
}

/**
 * Opens a bus over a log in PostgreSQL, for teams that have nothing else: `postgresBus('postgres://user@host/bus')`. The database may be
 * one of its own or that of a service; several processes open it. `publish` resolves when the events are on disk. The keys of a group are
 * divided among its members in 16 partitions; each is handled by one member at a time, in the order of publication, at least once. Members
 * of one group must subscribe to the same types. An event that is published twice is stored twice: receivers know them by their id.
 *
 * @throws {PostgresError} `ERR_DATABASE_OPEN` when the URL is none
 * @throws {RangeError} for options out of range
 */
export function postgresBus(url: string, options: PostgresBusOptions = {}): Bus {
  const settings = settingsOf(options)
  const { world, log, prepare, maxConnections } = settings
  // READ COMMITTED: what matters is locked, and a fence read under a snapshot would be worth nothing.
  const connection = { world, log, name: 'bus', prepare, maxConnections, isolation: 'read committed' } as const
  const database = openDatabase(url, connection, { migrations: busMigrations, stores: [] })
  return logBus(storeOf(database, settings), settings)
}

function storeOf(database: PostgresDatabase, settings: Settings): BusStore {
  const fence = fenceWatch(database, BUS_LOG)
  const others = wakeUps(database, 'banyan_bus')
  const here = new Set<() => void>()
  return {
    log: {
      identity: () => identityOf(database),
      async append(batch) {
        await appendEvents(database, batch)
        for (const wake of here) wake()
        others.tell()
      },
      read: (range) => readEvents(database, fence, range),
      prune: (cutoffMs, limit) => pruneEvents(database, cutoffMs, limit),
    },
    groups: postgresGroups(database, fence),
    watch(wake) {
      const watching = watch(fence, others, settings, () => wake(undefined))
      here.add(watching.look)
      return {
        stop() {
          here.delete(watching.look)
          return watching.stop()
        },
      }
    },
    error: (code, message, more) => new PostgresError(code, message, more),
    close: () => database.close(),
  }
}

/** Looks whether the log has grown: when told, and by polling, every `pollMs` while it grows down to every `idlePollMs`. */
function watch(fence: FenceWatch, others: WakeUps, { world, log, pollMs, idlePollMs }: Settings, wake: () => void) {
  const news = signal(world)
  const forget = others.onTold(news.set)
  let stopped = false
  let pauseMs = pollMs
  let seen = { final: -1, setbacks: 0 }

  async function grown(): Promise<boolean> {
    try {
      const { final, setbacks } = await fence.look()
      const more = final !== seen.final || setbacks !== seen.setbacks
      seen = { final, setbacks }
      return more
    } catch (error) {
      log.warn({ error }, 'cannot look for new events on the bus; trying again')
      return false
    }
  }

  async function run(): Promise<void> {
    while (!stopped) {
      news.reset()
      const more = await grown()
      if (more) wake()
      pauseMs = more ? pollMs : Math.min(idlePollMs, pauseMs * 2)
      const from = world.monotonic()
      await news.wait(pauseMs)
      // What was told of may have to wait for a slower writer: it looks again soon.
      if (world.monotonic() - from < pauseMs) pauseMs = pollMs
      // Many tell at once; one look finds them all.
      if (!stopped) await sleep(world, 1)
    }
  }

  const running = run()
  return {
    look: news.set,
    async stop() {
      stopped = true
      forget()
      news.set()
      await running
    },
  }
}

type Settings = Required<PostgresBusOptions>

function settingsOf(options: PostgresBusOptions): Settings {
  const { world = systemWorld, log = defaultLog, pollMs = 5, idlePollMs = Math.max(1_000, pollMs), leaseMs = 1_800 } = options
  const { saveMs = 200, maxBatch = 256, retentionMs = 7 * 24 * 3_600_000, maxConnections = 4, prepare = true } = options
  assertFrom('pollMs', pollMs, 1)
  assertFrom('idlePollMs', idlePollMs, pollMs)
  assertFrom('leaseMs', leaseMs, 100, LONGEST_LEASE_MS)
  assertFrom('saveMs', saveMs, 1)
  assertFrom('maxBatch', maxBatch, 1)
  assertFrom('retentionMs', retentionMs, 0)
  assertFrom('maxConnections', maxConnections, 2)
  return { world, log, pollMs, idlePollMs, leaseMs, saveMs, maxBatch, retentionMs, maxConnections, prepare }
}

function assertFrom(name: string, value: number, min: number, max: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  const upTo = max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`
  throw new RangeError(`cannot open a bus: "${name}" is ${value}, wanted a whole number from ${min}${upTo}`)
}
