// No time: the next turn of the event loop.
import { setImmediate as nextTurn } from 'node:timers'

let waiting: (() => void)[] = []
let isScheduled = false

/**
 * Does a write after all that this turn of the event loop has brought, together with the others of the turn. A write wakes whoever sleeps
 * at the other end, which on a machine of its own, and more so on a virtual one, costs more than the write: of several in a row
 * only the first has to.
 */
export function writeSoon(write: () => void): void {
  waiting.push(write)
  if (isScheduled) return
  isScheduled = true
  nextTurn(writeAll)
}

function writeAll(): void {
  const writes = waiting
  waiting = []
  isScheduled = false
  for (const write of writes) write()
}
