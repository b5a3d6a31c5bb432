import { type LinkedList, type ListNode, linkedList } from './linked-list.ts'

/** Those who wait for takes, by key: first come, first served. */
export interface RateLines {
  /** Whether somebody waits for takes of `key`. */
  has(key: string): boolean
  /** Puts one at the end of the line of `key`. `turn` is called when it has become the first by others' leaving. */
  join(key: string, turn: () => void): RatePlace
}

/** A place in a line. */
export interface RatePlace {
  readonly isFirst: boolean
  /** Nothing happens when it has left already. */
  leave(): void
}

interface Line {
  readonly turns: LinkedList<() => void>
  isMoving: boolean
}

/** Creates the lines of a rate limit. One without anybody in it is forgotten. */
export function rateLines(): RateLines {
  const lines = new Map<string, Line>()

  function lineOf(key: string): Line {
    const line = lines.get(key) ?? { turns: linkedList(), isMoving: false }
    lines.set(key, line)
    return line
  }

  function move(line: Line): void {
    // Who is refused leaves at once and comes back here: one after the other, and not one inside the other.
    if (line.isMoving) return
    line.isMoving = true
    let last: ListNode<() => void> | undefined
    while (line.turns.first && line.turns.first !== last) {
      last = line.turns.first
      last.value()
    }
    line.isMoving = false
  }

  return {
    has: (key) => lines.has(key),
    join(key, turn) {
      const line = lineOf(key)
      const node = line.turns.append(turn)
      return {
        get isFirst() {
          return line.turns.first === node
        },
        leave() {
          const wasFirst = line.turns.first === node
          if (!line.turns.remove(node)) return
          if (line.turns.size === 0) lines.delete(key)
          else if (wasFirst) move(line)
        },
      }
    },
  }
}
