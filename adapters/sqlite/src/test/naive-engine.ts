import type { CommitEngine } from '../group-member.ts'

/** An engine over a map instead of SQLite, which does as it is told to fail. */
export interface NaiveEngine extends CommitEngine {
  /** What is durable. */
  stored(): Readonly<Record<string, number>>
  write(key: string, value: number): void
  /** A write at the end of the group, when no savepoint is open. */
  writeLast(key: string, value: number): void
  /** The sizes of the commits so far, in members kept. */
  readonly commits: readonly number[]
}

/** @param failing answers whether the commit of this number, from 0, fails */
export function naiveEngine(failing: (commit: number) => boolean = () => false): NaiveEngine {
  let durable: Record<string, number> = {}
  let open: Record<string, number> | undefined
  let before: Record<string, number> | undefined
  let members = 0
  let later = false
  let attempts = 0
  const commits: number[] = []

  return {
    begin() {
      if (open) throw new Error('a transaction is open')
      open = { ...durable }
      // The first one has no savepoint.
      members = 1
      later = false
      return true
    },
    savepoint() {
      if (!open || before) throw new Error('a savepoint is open, or no transaction is')
      before = { ...open }
      later = true
    },
    release() {
      if (!before) throw new Error('no savepoint is open')
      before = undefined
      members += 1
    },
    undo() {
      if (!before) throw new Error('no savepoint is open')
      open = before
      before = undefined
    },
    commit() {
      if (!open || before) throw new Error('a savepoint is open, or no transaction is')
      attempts += 1
      if (failing(attempts - 1)) throw new Error('the disk is full')
      durable = open
      open = undefined
      commits.push(members)
    },
    rollback() {
      open = undefined
      before = undefined
    },
    inTransaction: () => open !== undefined,
    stored: () => durable,
    write(key, value) {
      if (!open || (later && !before)) throw new Error('a write outside a member')
      open[key] = value
    },
    writeLast(key, value) {
      if (!open || before) throw new Error('a savepoint is open, or no transaction is')
      open[key] = value
    },
    commits,
  }
}
