import type { Database, Transaction } from '@banyan/core'
import type { NewParkedMessage } from '@banyan/messaging/internal'

/** How a contract suite gets the database it checks. */
export interface StoreSuiteOptions {
  /** A new, empty database with Banyan's tables; called once a test. */
  readonly open: () => Promise<Database>
  /** Closes it and cleans up. */
  readonly close: (database: Database) => Promise<void>
}

/** Runs `body` with a database of its own. */
export function withDatabase({ open, close }: StoreSuiteOptions, body: (database: Database) => Promise<void>): () => Promise<void> {
  return async () => {
    const database = await open()
    try {
      await body(database)
    } finally {
      await close(database)
    }
  }
}

/** Thrown to roll a transaction back on purpose. */
export class OnPurpose extends Error {}

/** Runs `body` in a transaction that is rolled back at its end. */
export async function rolledBack(database: Database, body: (tx: Transaction) => Promise<void>): Promise<void> {
  try {
    await database.transaction(async (tx) => {
      await body(tx)
      throw new OnPurpose('rolled back on purpose')
    })
  } catch (error) {
    if (!(error instanceof OnPurpose)) throw error
  }
}

/** A message of lane `lane` in group `g`, due at `dueAt`. */
export function parkedMessage(lane: string, messageId: string, dueAt: number, more: Partial<NewParkedMessage> = {}): NewParkedMessage {
  return {
    group: 'g',
    lane,
    messageId,
    type: 'seat.taken',
    key: lane,
    raw: `{"id":"${messageId}"}`,
    traceId: undefined,
    parking: { kind: 'due', attempts: 0, dueAt, failure: undefined },
    parkedAt: 1,
    ...more,
  }
}
