import { shown, type Timer, type World } from '@banyan/core'
import { MAX_TIMER_MS } from './option-checks.ts'

/** Something that happens at a time unless it is taken out before. */
export interface Deadline {
  /** When, on the monotonic clock. */
  readonly at: number
  /** Its place in the list, which alone writes it; -1: in none. */
  place: number
  expire(): void
}

/** The deadlines of one world, under one timer. */
export interface Deadlines {
  /**
   * Calls `expire` once, when the monotonic clock has reached `at`, unless it is removed before.
   *
   * @throws {RangeError} for an `at` that is no number
   */
  add(deadline: Deadline): void
  /** Takes it out; nothing happens when it has expired already. */
  remove(deadline: Deadline): void
}

const known = new WeakMap<World, Deadlines>()

/** The {@link Deadlines} of `world`. */
export function deadlinesOf(world: World): Deadlines {
  const found = known.get(world) ?? deadlines(world)
  known.set(world, found)
  return found
}

/**
 * How many turns of the microtask queue an empty list keeps its timer. A caller who awaits one call after the other is back after
 * two or three: setting a timer and cancelling it for each costs more than the call. Microtasks run before anything else does, so
 * nobody who waits for input, output or time ever sees an idle timer, and no process stays for one.
 */
const TURNS_TO_IDLE = 8

/**
 * Creates a list of deadlines: a binary heap, in which each knows its place. Adding one that is later than all others, as most are,
 * takes one comparison; removing any takes log2(n).
 */
function deadlines(world: World): Deadlines {
  const heap: Deadline[] = []
  let timer: Timer | undefined
  let firesAt = Number.POSITIVE_INFINITY
  let turns = 0

  function arm(at: number, now: number): void {
    timer?.cancel()
    firesAt = at
    timer = world.after(Math.min(MAX_TIMER_MS, Math.max(0, at - now)), onTimer)
  }

  function onTimer(): void {
    timer = undefined
    firesAt = Number.POSITIVE_INFINITY
    const now = world.monotonic()
    try {
      for (let head = heap[0]; head && head.at <= now; head = heap[0]) {
        remove(heap, head)
        head.expire()
      }
    } finally {
      // The timer may stand for one that was removed, have fired a fraction early, or one may have thrown: it goes on for the next one.
      const next = heap[0]
      if (next && next.at < firesAt) arm(next.at, now)
    }
  }

  function onTurn(): void {
    if (heap.length > 0 || timer === undefined) {
      turns = 0
    } else if (turns < TURNS_TO_IDLE) {
      turns += 1
      settled.then(onTurn)
    } else {
      turns = 0
      timer.cancel()
      timer = undefined
      firesAt = Number.POSITIVE_INFINITY
    }
  }

  return {
    add(deadline) {
      // It would rise to the head of the list, never be due, and hold up all others.
      if (!(deadline.at <= Number.POSITIVE_INFINITY))
        throw new RangeError(`cannot keep a deadline: "at" is ${shown(deadline.at)}, wanted a number`)
      insert(heap, deadline)
      if (deadline.at < firesAt) arm(deadline.at, world.monotonic())
    },
    remove(deadline) {
      if (deadline.place < 0) return
      remove(heap, deadline)
      if (heap.length > 0 || turns > 0) return
      turns = 1
      settled.then(onTurn)
    },
  }
}

const settled = Promise.resolve()

function insert(heap: Deadline[], deadline: Deadline): void {
  heap.push(deadline)
  rise(heap, deadline, heap.length - 1)
}

function remove(heap: Deadline[], deadline: Deadline): void {
  const { place } = deadline
  const last = heap.pop()
  deadline.place = -1
  if (last === undefined || last === deadline) return
  rise(heap, last, place)
  sink(heap, last, last.place)
}

/** Moves `deadline` from `place` towards the root, past all that are later. */
function rise(heap: Deadline[], deadline: Deadline, from: number): void {
  let place = from
  while (place > 0) {
    const above = (place - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || parent.at <= deadline.at) break
    heap[place] = parent
    parent.place = place
    place = above
  }
  heap[place] = deadline
  deadline.place = place
}

/** Moves `deadline` from `place` away from the root, past all that are earlier. */
function sink(heap: Deadline[], deadline: Deadline, from: number): void {
  let place = from
  for (;;) {
    const left = heap[2 * place + 1]
    const right = heap[2 * place + 2]
    const child = right !== undefined && left !== undefined && right.at < left.at ? right : left
    if (child === undefined || child.at >= deadline.at) break
    const below = child.place
    heap[place] = child
    child.place = place
    place = below
  }
  heap[place] = deadline
  deadline.place = place
}
