import { AsyncLocalStorage } from 'node:async_hooks'
import type { NewSagaRecord, SagaAdvance, SagaStore } from './store.ts'

/** Writes what sagas do outside of transactions, many at a time. */
export interface SagaJournal {
  /** Starts a saga by itself; gives the id of the one of its name and key that is there then. Rejects when the database does. */
  start(saga: NewSagaRecord): Promise<string>
  /** Moves a saga on; whether it moved. Rejects when the database does: then it may have moved, or not. */
  advance(step: SagaAdvance): Promise<boolean>
}

/** The most writes in one unit: it is held in memory, and its rows are locked while it is written. */
const MOST = 1_000

/** Nobody's context: whoever happens to be first lends neither its trace nor its transaction to the writes of others. */
const outside = AsyncLocalStorage.snapshot()

/** A write that waits for its turn. */
type Entry =
  | {
      readonly kind: 'start'
      readonly saga: NewSagaRecord
      readonly resolve: (id: string) => void
      readonly reject: (error: unknown) => void
    }
  | {
      readonly kind: 'advance'
      readonly step: SagaAdvance
      readonly resolve: (moved: boolean) => void
      readonly reject: (error: unknown) => void
    }

const journals = new WeakMap<SagaStore, SagaJournal>()

/** The journal of a store: one, so that all who write to the database share commits. */
export function journalOf(store: SagaStore): SagaJournal {
  const known = journals.get(store)
  if (known) return known
  const journal = sagaJournal(store)
  journals.set(store, journal)
  return journal
}

/**
 * Creates a journal. A lone write goes as soon as all is done that can be done without waiting; those that come while as many units
 * are on their way as the store can use at once gather, and go together as the next one: the busier it is, the more share a commit. Of many that come at once, half
 * goes while the other half is still coming, so that this process and the database work at the same time.
 *
 * When a unit fails, each of its writes is tried once more by itself, so that one the database will never take does not take the
 * others with it.
 *
 * @see DeWitt et al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984, "group commit"
 */
export function sagaJournal(store: SagaStore): SagaJournal {
  const { writesAtOnce } = store
  let waiting: Entry[] = []
  let onTheirWay = 0
  /** What those on their way write to. */
  const underWay = new Set<string>()
  let announced = false
  /** Of the last two units. */
  let sizes: readonly [number, number] = [0, 0]

  async function send(): Promise<void> {
    const { batch, rest } = nextBatch(waiting, underWay)
    if (batch.length === 0) return
    waiting = rest
    sizes = [batch.length, sizes[0]]
    onTheirWay += 1
    for (const entry of batch) underWay.add(targetOf(entry))
    await write(store, batch)
    for (const entry of batch) underWay.delete(targetOf(entry))
    onTheirWay -= 1
    next()
  }

  const maySend = () => onTheirWay < writesAtOnce && waiting.length > 0

  function next(): void {
    if (!maySend()) return
    if (writesAtOnce > 1 && waiting.length >= (sizes[0] + sizes[1]) / 2) return void outside(send)
    if (announced) return
    announced = true
    // After everything that goes on without waiting: what an answer lets go on gathers first.
    process.nextTick(() => {
      announced = false
      if (maySend()) void outside(send)
    })
  }

  function add(entry: Entry): void {
    waiting.push(entry)
    next()
  }

  return {
    start: (saga) => new Promise((resolve, reject) => add({ kind: 'start', saga, resolve, reject })),
    advance: (step) => new Promise((resolve, reject) => add({ kind: 'advance', step, resolve, reject })),
  }
}

/**
 * As many as may go together: not two starts of one key, of which the second one is to find the first, and none of a key that is
 * under way, so that no two units wait for each other's rows.
 */
function nextBatch(waiting: readonly Entry[], underWay: ReadonlySet<string>): { batch: Entry[]; rest: Entry[] } {
  const batch: Entry[] = []
  const rest: Entry[] = []
  const taken = new Set<string>()
  for (const entry of waiting) {
    const target = targetOf(entry)
    if (batch.length >= MOST || taken.has(target) || underWay.has(target)) rest.push(entry)
    else batch.push(entry)
    taken.add(target)
  }
  return { batch, rest }
}

function targetOf(entry: Entry): string {
  return entry.kind === 'advance' ? entry.step.id : `${entry.saga.name} ${entry.saga.key}`
}

async function write(store: SagaStore, batch: readonly Entry[]): Promise<void> {
  try {
    await writeAsOne(store, batch)
  } catch (error) {
    const [first] = batch
    if (batch.length === 1) return first?.reject(error)
    for (const entry of batch) await writeAsOne(store, [entry]).catch(entry.reject)
  }
}

async function writeAsOne(store: SagaStore, batch: readonly Entry[]): Promise<void> {
  const starts = batch.filter((entry) => entry.kind === 'start')
  const advances = batch.filter((entry) => entry.kind === 'advance')
  const { ids, moved } = await store.write({ starts: starts.map(({ saga }) => saga), advances: advances.map(({ step }) => step) })
  for (const [index, { saga, resolve }] of starts.entries()) resolve(ids[index] ?? saga.id)
  for (const [index, { resolve }] of advances.entries()) resolve(moved[index] ?? false)
}
