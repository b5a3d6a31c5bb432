import type { Timer, World } from '@banyan/core'
import { type ListNode, linkedList } from './linked-list.ts'

/** Calls that all have the same time to live, under one shared timer. */
export interface DeadlineList {
  /** Calls `expire` once after the list's duration, unless the entry is removed before. */
  add(expire: () => void): DeadlineEntry
}

export interface DeadlineEntry {
  /** Takes it out; nothing happens when it has expired already. */
  remove(): void
}

interface Waiting {
  readonly at: number
  readonly expire: () => void
}

/**
 * Creates a list of deadlines `durationMs` milliseconds ahead. As all wait equally long, they expire in the order they were
 * added, so one timer for the first is enough. An empty list holds no timer.
 */
export function deadlineList(world: World, durationMs: number): DeadlineList {
  const entries = linkedList<Waiting>()
  let timer: Timer | undefined

  function arm(delayMs: number): void {
    timer = world.after(delayMs, onTimer)
  }

  function onTimer(): void {
    timer = undefined
    const now = world.monotonic()
    for (let head = entries.first; head && head.value.at <= now; head = entries.first) {
      entries.remove(head)
      head.value.expire()
    }
    // The timer may stand for an entry that was removed, or have fired a fraction early: then it goes on for the next one.
    if (entries.first && !timer) arm(entries.first.value.at - now)
  }

  function remove(node: ListNode<Waiting>): void {
    entries.remove(node)
    if (entries.size > 0) return
    timer?.cancel()
    timer = undefined
  }

  return {
    add(expire) {
      const node = entries.append({ at: world.monotonic() + durationMs, expire })
      if (!timer) arm(durationMs)
      return { remove: () => remove(node) }
    },
  }
}
