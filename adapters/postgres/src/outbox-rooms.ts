import type { PostgresDatabase } from './postgres-database.ts'

/** How far beyond the last position there is room for: four partitions. */
const AHEAD = 4_194_304
/** Appends between two checks: far fewer than there is room for, so that no process can run past the end. */
const CHECK_EVERY = 100_000
/** How long a drop may wait for whoever reads the table, milliseconds: writers wait behind it. */
const DROP_WAIT_MS = 100
/** The functions know partitions by a pattern with a backslash, which a server with the strings of old would take away. */
const STANDARD_STRINGS = { text: 'set local standard_conforming_strings = on' }

/** Makes partitions of the outbox ahead of its writers and drops those that are sent. */
export interface OutboxRooms {
  /** So many records were appended: looks now and then whether there is room for more, in the background. */
  appended(count: number): void
  /** Makes room. */
  extend(): Promise<void>
  /** Drops the oldest partition when all of it is sent; says whether it did. */
  trim(final: number): Promise<boolean>
}

/** Creates {@link OutboxRooms}. Several processes may do so at once: the database lets one at a time. */
export function outboxRooms(database: PostgresDatabase): OutboxRooms {
  const { log } = database
  // The first append of a process looks: others may have used up the room without one.
  let sinceCheck = CHECK_EVERY
  let checking = false

  async function extend(): Promise<void> {
    await database.runAll([STANDARD_STRINGS, { text: 'select banyan_outbox_extend($1)', values: [AHEAD] }], { atomic: true })
  }

  return {
    appended(count) {
      sinceCheck += count
      if (checking || sinceCheck < CHECK_EVERY) return
      sinceCheck = 0
      checking = true
      extend()
        .catch((error: unknown) => {
          sinceCheck = CHECK_EVERY
          log.warn({ error }, 'cannot make room in the outbox ahead of its writers; it will be tried again')
        })
        .finally(() => {
          checking = false
        })
    },
    extend,
    async trim(final) {
      const statements = [
        STANDARD_STRINGS,
        { text: `set local lock_timeout = ${DROP_WAIT_MS}` },
        { text: 'select banyan_outbox_trim($1) as dropped', values: [final] },
      ]
      const [, , rows] = await database.runAll(statements, { atomic: true })
      // The column of the last statement.
      return (rows?.[0] as { dropped: boolean } | undefined)?.dropped === true
    },
  }
}
