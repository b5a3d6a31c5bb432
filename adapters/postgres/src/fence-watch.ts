import { afterLook, type Holder, UNSEEN } from './fence.ts'
import type { PostgresDatabase } from './postgres-database.ts'

/** The class of the advisory lock; its number within is the sequence's own, so that it is one a database, schema and log. */
export const FENCE_CLASS = 1_869_968_482

/** Knows up to where a log is final, for all of a process who read it. */
export interface FenceWatch {
  /** As of the last look. */
  final(): number
  /** As of the last look: grows when the log has gone back, as after a failover that lacks the last commits. */
  setbacks(): number
  /** Looks again, after everything that has happened before the call; gives back the new `final`. */
  look(): Promise<number>
}

/** Creates a {@link FenceWatch} of the log that draws its positions from `sequence`. */
export function fenceWatch(database: PostgresDatabase, sequence: string): FenceWatch {
  // Each in its own transaction and in this order. Neither sees by a snapshot: both tell what is so at this moment.
  const statements = [
    { text: `select coalesce(pg_sequence_last_value('${sequence}'), 0) as last` },
    {
      text: `
        select virtualtransaction as id, pid is null as prepared from pg_locks
        where locktype = 'advisory' and granted and objsubid = 2 and classid = ${FENCE_CLASS} and objid = '${sequence}'::regclass
          and database = (select oid from pg_database where datname = current_database())`,
    },
  ]
  let state = UNSEEN
  let running: Promise<number> | undefined
  let next: Promise<number> | undefined

  async function lookNow(): Promise<number> {
    const [sequenceRows, holders] = await database.runAll(statements, { atomic: false })
    // The columns of the two statements above.
    state = afterLook(state, { last: (sequenceRows as [{ last: number }])[0].last, holders: holders as Holder[] })
    return state.final
  }

  function begin(): Promise<number> {
    running = lookNow().finally(() => {
      running = undefined
    })
    return running
  }

  return {
    final: () => state.final,
    setbacks: () => state.setbacks,
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
