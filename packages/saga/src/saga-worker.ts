import { AsyncLocalStorage } from 'node:async_hooks'
import { type Database, type Health, type Logger, messageOf, sleep, type World } from '@banyan/core'
import type { AnySaga } from './define.ts'
import { workerLease } from './lease.ts'
import { addLocalWorker } from './local-workers.ts'
import { sagaRunner } from './runner.ts'
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
  readonly leaseMs: number
  readonly pollMs: number
  readonly drainMs: number
}

/** A lease, the sagas it covers, and the look for those nobody runs. */
export interface SagaWorker {
  start(): Promise<void>
  stop(): Promise<void>
  health(): Promise<Health>
}

/** How many sagas are taken over in one transaction, so that others get their turn. */
const CLAIM_SIZE = 500

export function sagaWorker(settings: SagaWorkerSettings): SagaWorker {
  const { database, world, log, definitions, pollMs, drainMs } = settings
  const store = database.store(sagaStorePort)
  const workers = database.store(sagaWorkersPort)
  const names: DefinitionName[] = definitions.map(({ name, version }) => ({ name, version }))
  const byName = new Map(definitions.map((definition) => [nameOf(definition), definition]))
  const stopping = new AbortController()
  let removeLocal: (() => void) | undefined
  let polling: Promise<void> | undefined

  const runner = sagaRunner({ ...settings, store, definitionOf: (record) => byName.get(nameOf(record)), owner: () => lease.owner() })
  const lease = workerLease({ ...settings, workers, onLost: runner.dropAll, onHeld: runner.wake })

  /** Only what a look has found is written for: an idle worker writes nothing but its lease. */
  async function claimAll(): Promise<void> {
    while (!stopping.signal.aborted && (await database.read((tx) => store.claimable(tx, names, world.now())))) {
      const owner = lease.owner()
      if (!owner) return
      const taken = await database.transaction((tx) => store.claim(tx, owner, names, world.now(), CLAIM_SIZE))
      // Fenced while claiming: the rows are stale and the next life claims them.
      if (isSame(owner, lease.owner())) for (const record of taken) runner.take(record, owner)
      if (taken.length < CLAIM_SIZE) return
    }
  }

  async function poll(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await claimAll()
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'the saga worker could not look for sagas; trying again')
      }
      // Rejects only when stopping, which the loop's condition sees.
      await sleep(world, pollMs, stopping.signal).catch(() => {})
    }
  }

  return {
    async start() {
      await lease.start()
      await database.transaction(async (tx) => {
        for (const definition of definitions) await workers.define(tx, shapeOf(definition))
      })
      await reportUnknown(settings, names)
      removeLocal = addLocalWorker(store, {
        owner: (definition) => (byName.has(nameOf(definition)) ? lease.owner() : undefined),
        // In the worker's own context: a saga outlives the request that started it, and must not inherit its deadline.
        take: AsyncLocalStorage.bind((record: SagaRecord) => {
          const owner = lease.owner()
          if (owner && isSame(owner, record.owner)) runner.take(record, owner)
        }),
      })
      polling = poll()
    },
    async stop() {
      removeLocal?.()
      stopping.abort()
      await polling
      await runner.stop(drainMs)
      await lease.stop()
    },
    health: () => healthOf(settings, runner.count(), lease.owner()),
  }
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
  const counts = await database.read((tx) => database.store(sagaArchivePort).counts(tx, world.now(), 'stuck'))
  const stuck = counts.reduce((sum, { count }) => sum + count, 0)
  const lease = owner ? `as ${owner.worker}` : 'without a lease'
  // Stuck sagas are a person's business: a restart of the service would not help them.
  return { healthy: owner !== undefined, detail: `${active} running, ${waiting} waiting, ${stuck} stuck, ${lease}` }
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
