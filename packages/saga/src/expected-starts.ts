import type { Database, World } from '@banyan/core'
import { type SagaOwner, type SagaRecord, sagaArchivePort } from './store.ts'

export interface ExpectedStartsOptions {
  readonly database: Database
  readonly world: World
  /** Who the worker is. */
  readonly identity: () => SagaOwner | undefined
  /** Whether the saga is in the worker's memory. */
  readonly has: (id: string) => boolean
  readonly take: (record: SagaRecord, owner: SagaOwner) => void
}

/**
 * Sagas that are being stored as a worker's own, until it is handed them. When nobody says that the commit went through (its answer was
 * lost; another data layer's transaction ended without a word), nobody else would look for them: the worker is alive, so they are not open.
 */
export interface ExpectedStarts {
  /** It is being stored. */
  add(id: string): void
  /** It may be stored: it is looked for when it is late. */
  seek(id: string): void
  /** It is here, or will not come. False: it was not expected, so it has been found, or given up on. */
  remove(id: string): boolean
  /** Looks for those that are late. Rejects when the database does. */
  look(): Promise<void>
  /** How many are being stored, and are not late. */
  soon(): number
}

interface Entry {
  readonly since: number
  readonly pauseMs: number
  readonly soon: boolean
}

/** The first look for one that is late, milliseconds after it was announced; each further one after twice the time. */
const FIRST_LOOK_MS = 1_000
/** After the look that follows a pause as long as this, its transaction has been rolled back. */
const LAST_PAUSE_MS = 64_000
/** How many are looked for at once. */
const MOST = 100

export function expectedStarts({ database, world, identity, has, take }: ExpectedStartsOptions): ExpectedStarts {
  const expected = new Map<string, Entry>()
  const archive = database.store(sagaArchivePort)
  let soon = 0

  function add(id: string, isSoon: boolean): void {
    if (expected.has(id)) return
    expected.set(id, { since: world.monotonic(), pauseMs: FIRST_LOOK_MS, soon: isSoon })
    if (isSoon) soon += 1
  }

  function remove(id: string): Entry | undefined {
    const entry = expected.get(id)
    if (entry?.soon) soon -= 1
    expected.delete(id)
    return entry
  }

  function late(): string[] {
    const now = world.monotonic()
    const ids: string[] = []
    for (const [id, entry] of expected) {
      if (now - entry.since < entry.pauseMs) continue
      // One that is here may end, and leave, while its row is read: it would be taken up again from that.
      if (has(id)) expected.set(id, { ...entry, since: now })
      else ids.push(id)
      if (ids.length === MOST) break
    }
    return ids
  }

  function settle(id: string, record: SagaRecord | undefined): void {
    const entry = remove(id)
    // It was handed over meanwhile.
    if (!entry) return
    const owner = identity()
    const isGone = entry.pauseMs >= LAST_PAUSE_MS
    if (!record && !isGone) expected.set(id, { since: world.monotonic(), pauseMs: entry.pauseMs * 2, soon: false })
    // One of an earlier life is open, and claimed as such.
    if (record && owner && record.owner?.worker === owner.worker && record.owner.epoch === owner.epoch) take(record, owner)
  }

  return {
    add: (id) => add(id, true),
    seek: (id) => add(id, false),
    remove: (id) => remove(id) !== undefined,
    soon: () => soon,
    async look() {
      const ids = late()
      if (ids.length === 0) return
      const records = await database.read(async (tx) => {
        const found: (SagaRecord | undefined)[] = []
        for (const id of ids) found.push(await archive.find(tx, id))
        return found
      })
      for (const [index, id] of ids.entries()) settle(id, records[index])
    },
  }
}
