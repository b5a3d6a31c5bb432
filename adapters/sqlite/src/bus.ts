import { resolve } from 'node:path'
import { type Bus, type Logger, systemWorld, type World } from '@banyan/core'
import { type BusGroups, type BusLog, logBus } from '@banyan/messaging/internal'
import { joinGroup, LONGEST_LEASE_MS, leaveGroup, lookAtGroup, renewMembers, savePositions } from './bus-groups.ts'
import { appendEvents, headOf, identityOf, oldestOf, pruneEvents, readEvents } from './bus-log.ts'
import { onWake, wakeReaders, watchFile } from './bus-wake.ts'
import { openDatabase } from './database.ts'
import { defaultLog } from './default-log.ts'
import { busMigrations } from './migrations/bus.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { SqliteError } from './sqlite-error.ts'
import { turnKeeper } from './turn-keeper.ts'

export interface SqliteBusOptions {
  world?: World
  /** Default: warnings and errors to stderr. */
  log?: Logger
  /** How often to look for events of other processes while there are some, milliseconds, from 1. Mostly the system tells at once. Default 10. */
  pollMs?: number
  /** How often to look while nothing happens, milliseconds, from `pollMs`. Default 250. */
  idlePollMs?: number
  /** After how long a silent process is taken for dead and its keys go to others, milliseconds, 100 to 60,000. Renewed at half of it. Default 1,800. */
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
  return logBus(
    {
      log: logOf(database, channel),
      groups: groupsOf(database),
      watch: (wake) => watch(database, channel, settings, wake),
      error: (code, message, more) => new SqliteError(code, message, more),
      close: () => database.close(),
    },
    settings,
  )
}

function logOf(database: SqliteDatabase, channel: string): BusLog {
  const { world } = database
  // Reads come from memory, one promise after another: timers and sockets must have their turn.
  const turns = turnKeeper(world, 10)
  let turn: Promise<void> | undefined
  return {
    identity: () => database.read(identityOf),
    append(batch) {
      const types = new Set(batch.map(({ type }) => type))
      return database.transaction(async (tx) => {
        await appendEvents(tx, batch, world.now())
        tx.afterCommit(() => wakeReaders(channel, types))
      })
    },
    async read(range) {
      turn ??= turns.next()?.finally(() => {
        turn = undefined
      })
      await turn
      return database.read((tx) => readEvents(tx, range))
    },
    prune: (cutoffMs, limit) => database.transaction((tx) => pruneEvents(tx, cutoffMs, limit)),
  }
}

function groupsOf(database: SqliteDatabase): BusGroups {
  const { world } = database
  return {
    join: (member, unsaved, leaseMs) =>
      database.transaction(async (tx) => {
        const outcome = await joinGroup(tx, member, unsaved, world.now(), leaseMs)
        return 'held' in outcome ? { ...outcome, oldest: await oldestOf(tx) } : outcome
      }),
    async look(member) {
      const now = world.now()
      const { changes, nextExpiry } = await database.read((tx) => lookAtGroup(tx, member, now))
      return { changes, nextExpiryMs: nextExpiry - now }
    },
    renew: (handle, leaseMs) => database.transaction((tx) => renewMembers(tx, handle, world.now() + leaseMs)),
    save: (work) =>
      database.transaction(async (tx) => {
        const all: number[][] = []
        for (const { member, unsaved } of work) all.push(await savePositions(tx, member, unsaved))
        return all
      }),
    leave: (member, unsaved) => database.transaction((tx) => leaveGroup(tx, member, unsaved)),
  }
}

function watch(
  database: SqliteDatabase,
  channel: string,
  { world, log, pollMs, idlePollMs }: Settings,
  wake: (types: ReadonlySet<string> | undefined) => void,
): { stop(): Promise<void> } {
  const forget = onWake(channel, wake)
  let lastHead = -1
  async function look(): Promise<boolean> {
    try {
      const head = await database.read(headOf)
      if (head === lastHead) return false
      lastHead = head
      wake(undefined)
      return true
    } catch (error) {
      log.warn({ error }, 'cannot look for new events on the bus; trying again')
      return false
    }
  }
  const watching = watchFile(database.file, { world, log, pollMs, idlePollMs, look })
  return {
    async stop() {
      forget()
      await watching.stop()
    },
  }
}

type Settings = Required<SqliteBusOptions>

function settingsOf(options: SqliteBusOptions): Settings {
  const { world = systemWorld, log = defaultLog, pollMs = 10, idlePollMs = Math.max(250, pollMs), leaseMs = 1_800 } = options
  const { saveMs = 200, maxBatch = 128, retentionMs = 7 * 24 * 3_600_000 } = options
  assertFrom('pollMs', pollMs, 1)
  assertFrom('idlePollMs', idlePollMs, pollMs)
  assertFrom('leaseMs', leaseMs, 100, LONGEST_LEASE_MS)
  assertFrom('saveMs', saveMs, 1)
  assertFrom('maxBatch', maxBatch, 1)
  assertFrom('retentionMs', retentionMs, 0)
  return { world, log, pollMs, idlePollMs, leaseMs, saveMs, maxBatch, retentionMs }
}

function assertFrom(name: string, value: number, min: number, max: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  const upTo = max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`
  throw new RangeError(`cannot open a bus: "${name}" is ${value}, wanted a whole number from ${min}${upTo}`)
}
