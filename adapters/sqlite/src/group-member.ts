import { sleep, type World } from '@banyan/core'
import { SqliteError } from './sqlite-error.ts'

/** What group commit asks of the connection that writes. All of it at once, on this thread. */
export interface CommitEngine {
  /** Begins and takes the write lock. @returns false while another connection has it */
  begin(): boolean
  /** Starts a member. */
  savepoint(): void
  /** Keeps what the member wrote. */
  release(): void
  /** Takes back what the member wrote. */
  undo(): void
  commit(): void
  rollback(): void
  /** False once SQLite has rolled back by itself, as it does when the disk is full. */
  inTransaction(): boolean
}

/** A transaction that waits for its turn: one that may wait in its body, or one that does all at once. */
export interface Job {
  readonly work: { readonly body: (member: Member) => Promise<unknown> } | { readonly atOnce: () => unknown }
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** By the world's monotonic clock. */
  readonly queuedAt: number
  /** Shares its commit with nobody. */
  readonly alone: boolean
}

/** What a member leaves to the end of its group. */
export interface Closing {
  /** Runs at once, outside of any savepoint, as one of the last statements before COMMIT. What it throws is the commit's failure. */
  readonly write: () => void
  /** Called after the commit, once for a group, however many of its members name the same function. */
  readonly committed: () => void
}

/** A transaction in its group. */
export interface Member {
  /** Registers a write to run last. @throws {SqliteError} `ERR_TRANSACTION_OVER` */
  beforeCommit(write: () => Promise<void>): void
  /** Registers a call for after the commit. @throws {SqliteError} `ERR_TRANSACTION_OVER` */
  afterCommit(call: () => void): void
  /**
   * Registers a write for the end of the group, in the order of calls and of members. A member that fails takes its own along.
   *
   * @throws {SqliteError} `ERR_TRANSACTION_OVER`
   */
  withCommit(closing: Closing): void
  /** Whether it has ended, in whatever way. */
  isOver(): boolean
  /** @throws {SqliteError} `ERR_TRANSACTION_OVER` once it has ended */
  assertOpen(action: string): void
  readonly left: Left
}

/** What a member has left for later. */
export interface Left {
  /** The calls for after the commit. */
  readonly committed: readonly (() => void)[]
  /** What it has left to the end of the group. */
  readonly closings: readonly Closing[]
}

/** A new member, how to run its body with its hooks, and how to end it. */
export function newMember(): {
  member: Member
  finish: (body: (member: Member) => Promise<unknown>) => Promise<unknown>
  end: () => void
} {
  const writes: (() => Promise<void>)[] = []
  const committed: (() => void)[] = []
  const closings: Closing[] = []
  let over = false

  function assertOpen(action: string): void {
    if (!over) return
    throw new SqliteError(
      'ERR_TRANSACTION_OVER',
      `cannot ${action}: the transaction is over; is an "await" missing in its body, or did it take too long?`,
    )
  }

  const member: Member = {
    beforeCommit(write) {
      assertOpen('register a write before the commit')
      writes.push(write)
    },
    afterCommit(call) {
      assertOpen('register a call after the commit')
      committed.push(call)
    },
    withCommit(closing) {
      assertOpen('register a write for the commit')
      closings.push(closing)
    },
    isOver: () => over,
    assertOpen,
    left: { committed, closings },
  }

  return {
    member,
    async finish(body) {
      const value = await body(member)
      // Not for...of: a write may register another one. One that came too late must not start.
      for (let index = 0; index < writes.length && !over; index += 1) await writes[index]?.()
      // Now and not when the caller of `finish` goes on: a write that is taken in between would never be run.
      over = true
      return value
    },
    end() {
      over = true
    },
  }
}

/** Waits 1, 2, 4 ... up to 50 ms, less a random half so that two processes do not meet again. */
export function backOff(world: World, attempt: number): Promise<void> {
  const longestMs = Math.min(50, 2 ** Math.min(attempt, 6))
  return sleep(world, longestMs * (0.5 + world.random() / 2))
}
