import { codeOf } from '@banyan/core'
import type { Listener, PostgresDatabase } from './postgres-database.ts'

/** Tells other processes that there is something new. Only a hint: polling finds what a hint that was lost would have told. */
export interface WakeUps {
  /** Soon tells the others, at most every 20 ms. Never in the transaction that writes: NOTIFY there takes a lock that all commits share. */
  tell(): void
  /** Calls `wake` when another process tells; gives back how to stop. */
  onTold(wake: () => void): () => void
}

/** Between two notifications of a process, milliseconds. */
const SPACING_MS = 20
/** The same after nobody was there to listen: to look costs the server a query. */
const QUIET_MS = 200
/** Whoever listens holds a shared advisory lock of this class for its channel, as long as its session lives. */
const LISTENER_CLASS = 1_869_968_485
const HOLD = `select pg_advisory_lock_shared(${LISTENER_CLASS}, hashtext($1))`
/** A notification costs the server a commit, so there is none where nobody else listens, as in a service of one process. */
const TELL = `
  select pg_notify($1, $2) where exists (
    select 1 from pg_locks
    where locktype = 'advisory' and granted and objsubid = 2 and classid = ${LISTENER_CLASS} and pid <> $3
      and objid::bigint = hashtext($1)::bigint & 4294967295
      and database = (select oid from pg_database where datname = current_database()))`
/** Before connecting again, milliseconds. */
const RECONNECT_MS = 1_000

/** Creates {@link WakeUps} on a channel of the database. */
export function wakeUps(database: PostgresDatabase, channel: string): WakeUps {
  const origin = database.world.uuid()
  const listeners = new Set<() => void>()
  const ears = listening(database, channel, (payload) => {
    // This process was woken without any detour.
    if (payload !== origin) for (const wake of listeners) wake()
  })
  return {
    tell: spaced(database, async () => (await database.run(TELL, [channel, origin, ears.pid()])).length > 0, channel),
    onTold(wake) {
      listeners.add(wake)
      if (listeners.size === 1) ears.open()
      return () => {
        if (listeners.delete(wake) && listeners.size === 0) ears.close()
      }
    },
  }
}

/** The first call of a while tells at once; those that follow within the spacing share one. `send` says whether anybody listens. */
function spaced({ world, log }: PostgresDatabase, send: () => Promise<boolean>, channel: string): () => void {
  let waiting = false
  let again = false
  function tell(): void {
    if (waiting) {
      again = true
      return
    }
    waiting = true
    again = false
    void spacing().then((ms) =>
      world.after(ms, () => {
        waiting = false
        if (again) tell()
      }),
    )
  }
  async function spacing(): Promise<number> {
    try {
      return (await send()) ? SPACING_MS : QUIET_MS
    } catch (error) {
      log.debug({ error, channel }, 'cannot tell other processes of news; they find it by polling')
      return SPACING_MS
    }
  }
  return tell
}

/** A connection that listens, from the first try to have it on. */
interface Ear {
  listener?: Listener | undefined
}

/** Keeps a connection that listens, and makes a new one when it is gone. */
function listening(
  database: PostgresDatabase,
  channel: string,
  heard: (payload: string) => void,
): { open(): void; close(): void; pid(): number } {
  const { world, log } = database
  let pid = 0
  /** The one that counts; of one before it, whatever comes late is nobody's business any more. */
  let current: Ear | undefined

  function open(): void {
    current = {}
    void connect(current)
  }

  async function connect(ear: Ear): Promise<void> {
    try {
      const listener = await database.listener()
      ear.listener = listener
      if (ear !== current) return end(ear)
      listener.onGone(() => again(ear))
      await listener.listen(channel, heard)
      const [row] = await listener.run<{ pid: number }>('select pg_backend_pid() as pid')
      // Known before the lock is held: this process does not tell itself.
      if (ear === current) pid = row?.pid ?? 0
      await listener.run(HOLD, [channel])
    } catch (error) {
      if (codeOf(error) === 'ERR_DATABASE_CLOSED') return
      log.debug({ error, channel }, 'cannot listen for news of other processes; polling finds it meanwhile')
      again(ear)
    }
  }

  function again(ear: Ear): void {
    if (ear !== current) return
    // It may be sound, as where a standby refuses to listen.
    end(ear)
    world.after(RECONNECT_MS, () => {
      if (ear === current) open()
    })
  }

  function end(ear: Ear): void {
    const { listener } = ear
    ear.listener = undefined
    listener?.close().catch((error: unknown) => log.debug({ error }, 'cannot end a listening connection'))
  }

  return {
    pid: () => pid,
    open,
    close() {
      const old = current
      current = undefined
      if (old) end(old)
    },
  }
}
