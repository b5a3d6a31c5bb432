import { resolve } from 'node:path'
import { type Bus, type BusSubscription, type Envelope, type Logger, type Subscription, systemWorld, type World } from '@banyan/core'
import { type BusKeeper, busKeeper } from './bus-keeper.ts'
import { appendEvents, headOf } from './bus-log.ts'
import { type BusReader, busReader } from './bus-reader.ts'
import { onWake, wakeReaders, watchFile } from './bus-wake.ts'
import { openDatabase } from './database.ts'
import { defaultLog } from './default-log.ts'
import { busMigrations } from './migrations/bus.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { SqliteError } from './sqlite-error.ts'

export interface SqliteBusOptions {
  world?: World
  /** Default: warnings and errors to stderr. */
  log?: Logger
  /** How often to look for events of other processes while there are some, milliseconds, from 1. Mostly the system tells at once. Default 10. */
  pollMs?: number
  /** How often to look while nothing happens, milliseconds, from `pollMs`. Default 250. */
  idlePollMs?: number
  /** After how long a silent process is taken for dead and its keys go to others, milliseconds, from 100. Renewed at half of it. Default 1,800. */
  leaseMs?: number
  /** How long positions may wait to be saved, milliseconds, from 1: a killed process repeats at most that much. Default 200. */
  saveMs?: number
  /** The most events in one batch, from 1. Default 128. */
  maxBatch?: number
  /** How long events are kept, milliseconds, from 0; longer while a known group has not handled them. Default 7 days. */
  retentionMs?: number
}

/**
 * Opens the embedded bus: a log of events in one SQLite file that many processes of a machine open. `publish` resolves when
 * the events are on disk. The keys of a group are divided among its members in 16 partitions; each is handled by one member
 * at a time, in the order of publication, at least once. Members of one group must subscribe to the same types. An event that
 * is published twice is stored twice: receivers know them by their id.
 *
 * @throws {SqliteError} `ERR_DATABASE_OPEN`
 */
export function sqliteBus(file: string, options: SqliteBusOptions = {}): Bus {
  const settings = settingsOf(options)
  const { world, log } = settings
  const path = file === ':memory:' ? file : resolve(file)
  const database = openDatabase(path, { world, log, name: 'bus' }, { migrations: busMigrations, stores: [] })
  const channel = path === ':memory:' ? world.uuid() : path
  const crew = busCrew(database, channel, settings)
  let closing: Promise<void> | undefined

  function assertOpen(action: string): void {
    if (closing) throw closed(action)
  }

  return {
    features: { ordering: 'key', redelivery: true, replay: true },
    async publish(batch) {
      assertOpen('publish')
      if (batch.length === 0) return
      await append(database, batch, world.now(), channel)
    },
    async subscribe(subscription) {
      assertOpen('subscribe')
      return crew.add(subscription)
    },
    close() {
      closing ??= crew.stop().finally(() => database.close())
      return closing
    },
  }
}

function append(database: SqliteDatabase, batch: readonly Envelope[], nowMs: number, channel: string): Promise<void> {
  const types = new Set(batch.map(({ type }) => type))
  return database.transaction(async (tx) => {
    await appendEvents(tx, batch, nowMs)
    tx.afterCommit(() => wakeReaders(channel, types))
  })
}

/** The readers of one bus handle and what works for them; all of it only while there are any. */
function busCrew(database: SqliteDatabase, channel: string, settings: Settings) {
  const { world, log } = settings
  const handle = world.uuid()
  const readers = new Set<BusReader>()
  let stopped = false
  let helpers: { keeper: BusKeeper; stop: () => Promise<void> } | undefined

  async function remove(reader: BusReader): Promise<void> {
    try {
      await reader.stop()
    } finally {
      readers.delete(reader)
      if (readers.size === 0) {
        const idle = helpers
        helpers = undefined
        await idle?.stop()
      }
    }
  }

  return {
    async add({ group, types, handle: deliver }: BusSubscription): Promise<Subscription> {
      if (types.length === 0) throw new TypeError(`cannot subscribe group "${group}": "types" is empty, wanted one event type or more`)
      const member = { id: world.uuid(), handle, group, types: [...new Set(types)] }
      const { leaseMs, maxBatch } = settings
      const onMoved = () => helpers?.keeper.moved()
      const reader = busReader({ database, member, handle: deliver, world, log, leaseMs, maxBatch, onMoved })
      await reader.start()
      if (stopped) {
        await reader.stop()
        throw closed('subscribe')
      }
      readers.add(reader)
      helpers ??= startHelpers(database, channel, handle, readers, settings)
      let stopping: Promise<void> | undefined
      return {
        stop() {
          stopping ??= remove(reader)
          return stopping
        },
      }
    },
    async stop(): Promise<void> {
      stopped = true
      await Promise.all([...readers].map(remove))
    },
  }
}

function startHelpers(database: SqliteDatabase, channel: string, handle: string, readers: Set<BusReader>, settings: Settings) {
  const { world, log, pollMs, idlePollMs, leaseMs, saveMs, retentionMs } = settings
  const keeper = busKeeper({ database, handle, readers, world, log, leaseMs, saveMs, retentionMs })
  const forget = onWake(channel, (types) => {
    for (const reader of readers) if (!types || reader.member.types.some((type) => types.has(type))) reader.wake()
  })
  let lastHead = -1
  async function look(): Promise<boolean> {
    try {
      const head = await database.read(headOf)
      if (head === lastHead) return false
      lastHead = head
      for (const reader of readers) reader.wake()
      return true
    } catch (error) {
      log.warn({ error }, 'cannot look for new events on the bus; trying again')
      return false
    }
  }
  const watching = watchFile(database.file, { world, log, pollMs, idlePollMs, look })
  return {
    keeper,
    async stop() {
      forget()
      await Promise.all([watching.stop(), keeper.stop()])
    },
  }
}

function closed(action: string): SqliteError {
  return new SqliteError('ERR_BUS_CLOSED', `cannot ${action}: the bus is closed`)
}

type Settings = Required<SqliteBusOptions>

function settingsOf(options: SqliteBusOptions): Settings {
  const { world = systemWorld, log = defaultLog, pollMs = 10, idlePollMs = Math.max(250, pollMs), leaseMs = 1_800 } = options
  const { saveMs = 200, maxBatch = 128, retentionMs = 7 * 24 * 3_600_000 } = options
  assertFrom('pollMs', pollMs, 1)
  assertFrom('idlePollMs', idlePollMs, pollMs)
  assertFrom('leaseMs', leaseMs, 100)
  assertFrom('saveMs', saveMs, 1)
  assertFrom('maxBatch', maxBatch, 1)
  assertFrom('retentionMs', retentionMs, 0)
  return { world, log, pollMs, idlePollMs, leaseMs, saveMs, maxBatch, retentionMs }
}

function assertFrom(name: string, value: number, min: number): void {
  if (Number.isInteger(value) && value >= min) return
  throw new RangeError(`cannot open a bus: "${name}" is ${value}, wanted a whole number from ${min}`)
}
