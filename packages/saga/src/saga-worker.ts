import { AsyncLocalStorage } from 'node:async_hooks'
import { type Database, type Health, type Logger, messageOf, type World } from '@banyan/core'
import { archiver } from './archiver.ts'
import { claimer } from './claimer.ts'
import type { AnySaga } from './definition.ts'
import { expectedStarts } from './expected-starts.ts'
import { workerLease } from './lease.ts'
import { addLocalWorker } from './local-workers.ts'
import { type SagaRunner, sagaRunner } from './runner.ts'
import { shapeOf } from './shape.ts'
import { type DefinitionName, type SagaOwner, type SagaRecord, sagaArchivePort, sagaStorePort, sagaWorkersPort } from './store.ts'

export interface SagaWorkerSettings {
  readonly database: Database
  readonly world: World
  readonly log: Logger
  readonly service: string
  readonly definitions: readonly AnySaga[]
  readonly workerId: string
  readonly concurrency: number
  readonly maxSagas: number
  readonly leaseMs: number
  readonly pollMs: number
  readonly drainMs: number
  readonly parkAfterMs: number
  readonly keepFinishedMs: number
  readonly keepSignalsMs: number
}

/** A lease, the sagas it covers, and the look for those nobody runs. */
export interface SagaWorker {
  start(): Promise<void>
  stop(): Promise<void>
  health(): Promise<Health>
}

export function sagaWorker(settings: SagaWorkerSettings): SagaWorker {
  const { database, definitions, drainMs } = settings
  const store = database.store(sagaStorePort)
  const workers = database.store(sagaWorkersPort)
  const byName = definitionsByName(definitions)
  const names = [...byName.values()].map(({ name }) => name)
  const definitionOf = (record: DefinitionName) => byName.get(nameOf(record))?.definition
  const runner: SagaRunner = sagaRunner({ ...settings, store, definitionOf, limits: limitsOf(definitions), owner: () => lease.owner() })
  const lease = workerLease({ ...settings, workers, onLost: runner.dropAll, onHeld: runner.wake })
  const expected = expectedStarts({ ...settings, identity: () => lease.identity(), has: runner.has, take: runner.take })
  const room = () => settings.maxSagas - runner.size() - expected.soon()
  const claims = claimer({ ...settings, store, names, lease, expected, take: runner.take, room })
  const archive = archiver({ ...settings, store })
  let removeLocal: (() => void) | undefined

  return {
    async start() {
      await lease.start()
      await database.transaction(async (tx) => {
        for (const definition of definitions) await workers.define(tx, shapeOf(definition))
      })
      await reportUnknown(settings, names)
      removeLocal = addLocalWorker(store, {
        owner: (definition) => (definitionOf(definition)?.version === definition.version && room() > 0 ? lease.owner() : undefined),
        expect: expected.add,
        dismiss: (id) => void expected.remove(id),
        // In the worker's own context: a saga outlives the request that started it, and must not inherit its deadline.
        take: AsyncLocalStorage.bind((record: SagaRecord) => {
          // Who hears of the commit late must not begin it as it was then: its row tells how it is now.
          if (!expected.remove(record.id)) return expected.seek(record.id)
          // Also while it is not sure: the saga is this life's, and nobody else would look for it.
          const owner = lease.identity()
          if (owner && isSame(owner, record.owner)) runner.take(record, owner)
        }),
        look: AsyncLocalStorage.bind(claims.look),
        decided: runner.decided,
      })
      claims.start()
      archive.start()
    },
    async stop() {
      removeLocal?.()
      // At the same time: what claims and archives may stand in line behind a local step, as its transaction is alone with the database.
      await Promise.all([claims.stop(), archive.stop(), runner.stop(drainMs)])
      // What was claimed meanwhile.
      runner.dropAll()
      await lease.stop()
    },
    health: () => healthOf(settings, runner.count(), lease.owner()),
  }
}

/** Each definition under its own version, and under those it migrates from and nobody else has. */
function definitionsByName(definitions: readonly AnySaga[]): Map<string, { name: DefinitionName; definition: AnySaga }> {
  const all = definitions.flatMap((definition) => {
    const old = Object.keys(definition.migrate).map((version) => ({
      name: { name: definition.name, version: Number(version) },
      definition,
    }))
    return [{ name: { name: definition.name, version: definition.version }, definition }, ...old]
  })
  const byName = new Map<string, (typeof all)[number]>()
  for (const one of all) {
    const known = byName.get(nameOf(one.name))
    if (!known || one.definition.version === one.name.version) byName.set(nameOf(one.name), one)
  }
  return byName
}

/** What versions call is the same: they share a limit, that of the newest. */
function limitsOf(definitions: readonly AnySaga[]): ReadonlyMap<string, number | undefined> {
  const byVersion = definitions.toSorted((one, other) => one.version - other.version)
  return new Map(byVersion.map(({ name, concurrency }) => [name, concurrency]))
}

/** Sagas that run under a name or version this program does not know are another program's business, and somebody should know. */
async function reportUnknown({ database, log, world }: SagaWorkerSettings, known: readonly DefinitionName[]): Promise<void> {
  const archive = database.store(sagaArchivePort)
  const unknown = await database.read(async (tx) => {
    const counts = await archive.counts(tx, world.now())
    const open = counts.filter((count) => !known.some((name) => nameOf(name) === nameOf(count)))
    return Promise.all(
      open.map(async (count) => ({ count, sagas: await archive.list(tx, { ...nameAndVersion(count), finished: false }, 20) })),
    )
  })
  for (const { count, sagas } of unknown) {
    const fields = { name: count.name, version: count.version, status: count.status, count: count.count, ids: sagas.map(({ id }) => id) }
    log.warn(fields, 'there are sagas whose definition this worker does not have; it leaves them alone')
  }
}

async function healthOf(
  { database, world }: SagaWorkerSettings,
  { active, waiting }: { active: number; waiting: number },
  owner: SagaOwner | undefined,
): Promise<Health> {
  try {
    const counts = await database.read((tx) => database.store(sagaArchivePort).counts(tx, world.now(), 'stuck'))
    const stuck = counts.reduce((sum, { count }) => sum + count, 0)
    const lease = owner ? `as ${owner.worker}` : 'without a lease'
    // Stuck sagas are a person's business: a restart of the service would not help them.
    return { healthy: owner !== undefined, detail: `${active} running, ${waiting} waiting, ${stuck} stuck, ${lease}` }
  } catch (error) {
    return { healthy: false, detail: `cannot read the sagas: ${messageOf(error)}` }
  }
}

function nameOf({ name, version }: DefinitionName): string {
  return `${name}@${version}`
}

function nameAndVersion({ name, version }: DefinitionName): DefinitionName {
  return { name, version }
}

function isSame(a: SagaOwner, b: SagaRecord['owner']): boolean {
  return a.worker === b?.worker && a.epoch === b.epoch
}
