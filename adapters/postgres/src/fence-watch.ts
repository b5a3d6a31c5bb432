import { afterLook, type FenceState, type Holder, UNSEEN } from './fence.ts'
import type { PostgresDatabase } from './postgres-database.ts'

/**
 * Which server this is, since its start, as an expression of SQL. Where commits may be missing, as after a failover or where a backup was
 * restored, it is another one.
 */
export const SERVER = 'extract(epoch from pg_postmaster_start_time())::text'

/** Knows up to where a log is final, for all of a process who read it. */
export interface FenceWatch {
  /** As of the last look. */
  now(): FenceState
  /** Looks again, after everything that has happened before the call. */
  look(): Promise<FenceState>
  /** The server on which positions hold that were read after so many setbacks; of no server when there were more since. */
  serverOf(setbacks: number | undefined): string
}

const NO_SERVER = ''

/** A log that many transactions append to. */
export interface FencedLog {
  /** What the positions come from. */
  readonly sequence: string
  /** The lock that appenders hold, as a condition on `pg_locks`. */
  readonly lock: string
}

/** Creates a {@link FenceWatch} of a log. */
export function fenceWatch(database: PostgresDatabase, { sequence, lock }: FencedLog): FenceWatch {
  // Each in its own transaction and in this order. Neither sees by a snapshot: both tell what is so at this moment.
  const statements = [
    { text: `select coalesce(pg_sequence_last_value('${sequence}'), 0) as last, ${SERVER} as server` },
    {
      text: `
        select virtualtransaction as id, pid is null as prepared from pg_locks
        where granted and ${lock}
          and database = (select oid from pg_database where datname = current_database())`,
    },
  ]
  let state = UNSEEN
  let running: Promise<FenceState> | undefined
  let next: Promise<FenceState> | undefined

  async function lookNow(): Promise<FenceState> {
    const [sequenceRows, holders] = await database.runAll(statements, { atomic: false })
    // The columns of the two statements above.
    const [drawn] = sequenceRows as [{ last: number; server: string }]
    state = afterLook(state, { ...drawn, holders: holders as Holder[] })
    return state
  }

  function begin(): Promise<FenceState> {
    running = lookNow().finally(() => {
      running = undefined
    })
    return running
  }

  return {
    now: () => state,
    serverOf: (setbacks) => (setbacks === state.setbacks ? (state.server ?? NO_SERVER) : NO_SERVER),
    look() {
      if (!running) return begin()
      // The one under way may have looked before the caller's news: those who ask meanwhile share the one after it.
      next ??= running
        .catch(() => undefined)
        .then(() => {
          next = undefined
          return begin()
        })
      return next
    },
  }
}
