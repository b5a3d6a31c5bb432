import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bus, type Component, codeOf, type Database, messageOf, systemWorld } from '@banyan/core'
import { crashPoint, underHarness } from '@banyan/testing/crash'
import { busAt, databaseAt, log, type Places } from './places.ts'

/** What a trial tells each of its programs, as JSON in the first argument. */
export interface RoleSettings {
  /** The role's name: a program may play several. */
  readonly name: string
  /** The trial's. */
  readonly folder: string
  readonly places: Places
  readonly seed: number
  /** What is wrong on purpose: see `--break`. */
  readonly broken: string | undefined
}

/** {@link RoleSettings}, and what a program needs to begin. */
export interface Role extends RoleSettings {
  /** The file that says, by being there, that the trial comes to its end. */
  readonly closing: string
  /** Opens the database of a service. */
  database(service: string): Promise<Database>
  bus(): Promise<Bus>
}

/** Reads what the trial says. */
export function roleOf(): Role {
  // Who still waits for its database ends with the trial as well.
  process.once('disconnect', () => process.exit(0))
  const [, , text] = process.argv
  if (!text) throw new RangeError('cannot run a role: wanted its settings, as JSON')
  // Written by the trial.
  const settings = JSON.parse(text) as RoleSettings
  const place = (name: string) => {
    const found = settings.places[name]
    if (found === undefined) throw new RangeError(`cannot open "${name}": the trial has no such place`)
    return found
  }
  return {
    ...settings,
    closing: closingFile(settings.folder),
    database: (service) => databaseAt(place(service), service),
    bus: () => busAt(place('bus')),
  }
}

export function closingFile(folder: string): string {
  return join(folder, 'closing')
}

interface Parts {
  /** Default: the component's name. */
  readonly service?: string
  readonly database: Database
  readonly bus?: Bus | undefined
}

/** Starts a component beside the one of {@link runRole}; it ends first. */
export async function runComponent(component: Component, { service = component.name, database, bus }: Parts): Promise<void> {
  running.unshift({ component, parts: { database, bus } })
  await untilStarted(() => component.start({ service, instanceId: systemWorld.uuid(), world: systemWorld, log, database, bus }))
}

const running: { component: Component; parts: Parts }[] = []

/** Starts the last component, tells the harness that all works, and ends everything, then the process, on SIGTERM. */
export async function runRole(component: Component, parts: Parts): Promise<void> {
  await runComponent(component, parts)
  // Only now: who is still starting has nothing to end, and just goes.
  process.once('SIGTERM', () => void end())
  underHarness()
}

async function end(): Promise<void> {
  const { folder, name } = roleOf()
  const health = await Promise.all(running.map(({ component }) => component.health?.().catch(messageOf)))
  // Kept with the files of a trial that failed: how the role saw things. None: it did not even get to say so.
  writeFileSync(join(folder, `${name}-health.json`), JSON.stringify(health))
  for (const { component } of running) await component.stop()
  const open = new Set(running.flatMap(({ parts: { database, bus } }) => [database, bus]))
  for (const one of open) await one?.close()
  process.exit(0)
}

/** A service is started again until its database is there, as whoever runs it would do. */
async function untilStarted(start: () => Promise<void>): Promise<void> {
  while (!(await unlessAway(start))) await new Promise((resolve) => systemWorld.after(50, () => resolve(undefined)))
}

/** The database, with a point before and one after each commit, whoever makes it. */
export function watched(database: Database): Database {
  return {
    ...database,
    async transaction(body) {
      const result = await database.transaction(async (tx) => {
        const value = await body(tx)
        // Registered last, so it comes last.
        tx.beforeCommit(async () => crashPoint('before-commit'))
        return value
      })
      crashPoint('after-commit')
      return result
    },
  }
}

/** What says that the database is away for a moment, or that nobody knows how a commit went. */
const AWAY = [
  'ERR_DATABASE_BUSY',
  'ERR_DATABASE_UNREACHABLE',
  'ERR_CONNECTIONS_EXHAUSTED',
  'ERR_COMMIT_UNKNOWN',
  'ERR_COMMIT_FAILED',
  'ERR_TRANSACTION_TIMEOUT',
  'ERR_SERIALIZATION',
]

/** Does `work`; false when the database is away, and it is to be tried again. */
export async function unlessAway(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (!AWAY.includes(codeOf(error) ?? '')) throw error
    log.warn({ error: messageOf(error) }, 'the database is away')
    return false
  }
}
