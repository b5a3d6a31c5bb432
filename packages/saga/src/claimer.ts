import { codeOf, type Database, type Logger, messageOf, type Timer, type World } from '@banyan/core'
import type { ExpectedStarts } from './expected-starts.ts'
import type { WorkerLease } from './lease.ts'
import { type DefinitionName, type SagaOwner, type SagaRecord, type SagaStore, sagaArchivePort } from './store.ts'

export interface ClaimerOptions {
  readonly database: Database
  readonly store: SagaStore
  readonly world: World
  readonly log: Logger
  readonly names: readonly DefinitionName[]
  readonly lease: WorkerLease
  readonly expected: ExpectedStarts
  readonly pollMs: number
  readonly take: (record: SagaRecord, owner: SagaOwner) => void
  /** How many more sagas there is room for. */
  readonly room: () => number
}

/** Looks for sagas nobody runs: started elsewhere, left behind, woken, due. */
export interface Claimer {
  start(): void
  /** Looks at once, and not when its time has come. */
  look(): void
  stop(): Promise<void>
}

/**
 * How many sagas are taken over in one transaction, so that others get their turn: on SQLite it keeps the event loop for 35 ms. With fewer
 * the steps of what is here already come in between, and the last are claimed later; more are no faster. See decisions/013.
 */
const CLAIM_SIZE = 2_000

/** What a database says that cannot tell whether it has committed: the answer to COMMIT was lost. */
const UNKNOWN = 'ERR_COMMIT_UNKNOWN'

export function claimer(options: ClaimerOptions): Claimer {
  const { database, store, world, log, names, lease, expected, pollMs, take, room } = options
  let stopped = false
  let looking: Promise<void> | undefined
  let again = false
  let timer: Timer | undefined
  let inDoubt = false

  /** What was claimed when the answer got lost is this worker's, and not here. */
  async function expectMine(): Promise<void> {
    const archive = database.store(sagaArchivePort)
    let before: string | undefined
    do {
      const filter = { finished: false, ...(before !== undefined && { before }) }
      const page = await database.read((tx) => archive.list(tx, filter, CLAIM_SIZE))
      const { worker, epoch } = lease.identity() ?? {}
      for (const { id, owner } of page) if (owner && owner.worker === worker && owner.epoch === epoch) expected.seek(id)
      before = page.length === CLAIM_SIZE ? page.at(-1)?.id : undefined
    } while (before !== undefined && !stopped)
    inDoubt = false
  }

  async function claim(owner: SagaOwner, limit: number): Promise<SagaRecord[]> {
    try {
      return await database.transaction((tx) => store.claim(tx, owner, names, world.now(), limit))
    } catch (error) {
      inDoubt ||= codeOf(error) === UNKNOWN
      throw error
    }
  }

  /** Only what a look has found is written for: an idle worker writes nothing but its lease. */
  async function claimAll(): Promise<void> {
    if (inDoubt) await expectMine()
    let more = !stopped && room() > 0 && (await database.read((tx) => store.claimable(tx, names, world.now())))
    while (more && !stopped) {
      const owner = lease.owner()
      if (!owner) return
      const limit = Math.min(CLAIM_SIZE, room())
      const taken = await claim(owner, limit)
      const now = lease.identity()
      // Fenced while claiming: the rows are stale and the next life claims them. Being unsure is no reason to leave them: nobody else would
      // look for what is this life's.
      if (now?.worker !== owner.worker || now.epoch !== owner.epoch) return
      for (const record of taken) take(record, owner)
      more = taken.length === limit && room() > 0
    }
  }

  async function run(): Promise<void> {
    do {
      again = false
      await claimAll()
        .then(expected.look)
        .catch((error) => log.warn({ error: messageOf(error) }, 'the saga worker could not look for sagas; trying again'))
    } while (again && !stopped)
    looking = undefined
    if (!stopped) timer = world.after(pollMs, look)
  }

  function look(): void {
    again = true
    if (stopped || looking) return
    timer?.cancel()
    looking = run()
  }

  return {
    start: look,
    look,
    async stop() {
      stopped = true
      timer?.cancel()
      await looking
    },
  }
}
