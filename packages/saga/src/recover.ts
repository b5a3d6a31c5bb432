import type { Database, ReadTransaction } from '@banyan/core'
import { type Decided, decideIn, type Request } from './decide.ts'
import type { AnySaga } from './definition.ts'
import { SagaError } from './errors.ts'
import { tellLocalWorkers } from './local-workers.ts'
import { checkWhole } from './options.ts'
import { type SagaDecision, type SagaFilter, type SagaRecord, sagaArchivePort, sagaStorePort, sagaWorkersPort } from './store.ts'
import { definitionOf, detailsOf, type SagaDetails, type SagaSummary, summaryOf } from './summary.ts'

export interface SagasOptions {
  /** Of sagas with a codec: what they store can then be read and changed. Default: none. */
  readonly definitions?: readonly AnySaga[]
}

export interface ListOptions extends SagaFilter {
  /** 1 to 1,000. Default 50. */
  readonly limit?: number
}

/** A person's answer, with something for the steps that follow. */
export interface Answered extends Decided {
  /** JSON. Default: nothing. */
  readonly value?: unknown
}

/**
 * What people do with sagas. Decisions are kept, and taken up by the service's workers within their poll. All reject with a
 * {@link SagaError}: `ERR_SAGA_UNKNOWN`, `ERR_SAGA_STATE` when the decision does not fit the saga's state, `ERR_SAGA_ENCODED` when its
 * codec is needed.
 */
export interface Sagas {
  /** Newest first. The last id as `before` gives the next page. */
  list(options?: ListOptions): Promise<SagaSummary[]>
  show(id: string): Promise<SagaDetails>
  /** Lets a stuck saga try again. */
  retry(id: string, decided: Decided): Promise<SagaSummary>
  /** Goes on as if the step a saga is stuck at had worked; somebody has seen to it by hand. A skipped `do` has no result. */
  skip(id: string, decided: Decided): Promise<SagaSummary>
  /** Goes on as if the step a saga is stuck at, on its way forward, had worked and given `value`. */
  override(id: string, value: unknown, decided: Decided): Promise<SagaSummary>
  /** Gives a stuck saga another input, and lets it try again. Its key stays. */
  edit(id: string, input: unknown, decided: Decided): Promise<SagaSummary>
  /** Undoes a saga that is stuck on its way forward: the pivot in doubt did not happen. */
  undo(id: string, decided: Decided): Promise<SagaSummary>
  /**
   * Undoes a saga before its pivot, wherever it is; an attempt in flight is awaited, and undone with the rest.
   *
   * @throws {SagaError} `ERR_SAGA_PAST_PIVOT` (status 409) at or past the pivot; then nothing comes of it
   */
  cancel(id: string, decided: Decided): Promise<SagaSummary>
  /** Says yes to a saga that waits for a person. */
  approve(id: string, answer: Answered): Promise<SagaSummary>
  /** Says no to a saga that waits for a person: it is undone. */
  reject(id: string, decided: Decided): Promise<SagaSummary>
  /** The latest decisions, of one saga or of all, 1 to 10,000 of them. Default: 100. */
  decisions(id?: string, limit?: number): Promise<SagaDecision[]>
}

/** The sagas of a service's database, for people. Needs no definition, but for the codec: workers leave the shape of theirs there. */
export function sagas(database: Database, { definitions = [] }: SagasOptions = {}): Sagas {
  const archive = database.store(sagaArchivePort)
  const workers = database.store(sagaWorkersPort)

  async function decide(request: Request): Promise<SagaSummary> {
    const decided = await database.transaction(async (tx) => {
      const record = known(await archive.find(tx, request.id), request.id)
      return decideIn(tx, record, await workers.shape(tx, record), definitionOf(definitions, record), request)
    })
    tellLocalWorkers(database.store(sagaStorePort), request.id)
    return summaryOf(decided)
  }

  async function details(tx: ReadTransaction, id: string): Promise<SagaDetails> {
    const record = known(await archive.find(tx, id), id)
    const definition = definitionOf(definitions, record)
    const readable = definition !== undefined || !(await workers.shape(tx, record))?.encoded
    const [history, decisions] = [await archive.history(tx, id), await archive.decisions(tx, id, 1_000)]
    return detailsOf(record, { history, decisions, codec: definition?.codec, readable })
  }

  return {
    async list({ limit = 50, ...filter } = {}) {
      checkWhole('list sagas', 'limit', limit, 1, 1_000)
      return (await database.read((tx) => archive.list(tx, filter, limit))).map(summaryOf)
    },
    show: (id) => database.read((tx) => details(tx, id)),
    retry: (id, decided) => decide({ id, action: 'retry', decided }),
    skip: (id, decided) => decide({ id, action: 'skip', decided }),
    override: (id, value, decided) => decide({ id, action: 'override', decided, value }),
    edit: (id, input, decided) => decide({ id, action: 'edit', decided, value: input }),
    undo: (id, decided) => decide({ id, action: 'undo', decided }),
    cancel: (id, decided) => decide({ id, action: 'cancel', decided }),
    approve: (id, { value, ...decided }) => decide({ id, action: 'approve', decided, value }),
    reject: (id, decided) => decide({ id, action: 'reject', decided }),
    async decisions(id, limit = 100) {
      checkWhole('list decisions', 'limit', limit, 1, 10_000)
      return database.read((tx) => archive.decisions(tx, id, limit))
    },
  }
}

function known(record: SagaRecord | undefined, id: string): SagaRecord {
  if (record) return record
  throw new SagaError('ERR_SAGA_UNKNOWN', `there is no saga "${id}" in this database`, { status: 404 })
}
