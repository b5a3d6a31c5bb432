import { nearest } from '@banyan/core'
import { ExploreError } from './explore-errors.ts'
import type { Move } from './explore-site.ts'

/**
 * A schedule as a short text: the moves that are not the first possible one, each with its number. `3:money.lost,5:money.gives-up`
 * says: all goes its way, but the third move is that the answer of "money" is lost. The empty text: nothing goes wrong.
 */
export function scheduleText(chosen: readonly { readonly id: string; readonly first: boolean }[]): string {
  return chosen.flatMap(({ id, first }, index) => (first ? [] : [`${index + 1}:${written(id)}`])).join(',')
}

/** A name of a user's may be in it: what parts moves, and what would not come back from a line, is written as in a URL. */
function written(id: string): string {
  return id.replaceAll(/[%,]|[^\S ]| $/g, (char) => encodeURIComponent(char))
}

/** What a schedule chooses. */
export interface Chooser {
  /** @throws {ExploreError} `ERR_SCHEDULE` where the move that it wants cannot be made */
  choose(moves: readonly Move[], at: number): Move | undefined
  /** @throws {ExploreError} `ERR_SCHEDULE` where the saga is over after so many moves, and it wants more */
  over(made: number): void
}

/**
 * What a {@link scheduleText} chooses at each move.
 *
 * @throws {ExploreError} `ERR_SCHEDULE` for a text that is no schedule, or of a saga that has changed since
 */
export function chooserOf(schedule: string): Chooser {
  const wanted = wantedBy(schedule)
  const last = Math.max(0, ...wanted.keys())
  return {
    choose(moves, at) {
      const id = wanted.get(at + 1)
      if (id === undefined) return moves[0]
      const found = moves.find((move) => written(move.id) === id)
      if (found) return found
      const ids = moves.map((move) => written(move.id))
      const near = nearest(id, ids)
      const hint = near ? `; did you mean "${near}"?` : '.'
      throw wrong(schedule, `move ${at + 1} cannot be "${id}"${hint} It can be ${ids.join(', ') || 'nothing'}`)
    },
    over(made) {
      if (last > made) throw wrong(schedule, `all is over after ${made} moves, and it wants "${last}:${wanted.get(last)}"`)
    },
  }
}

function wantedBy(schedule: string): Map<number, string> {
  const wanted = new Map<number, string>()
  for (const entry of schedule === '' ? [] : schedule.split(',')) {
    const [, number, id] = /^([1-9]\d*):(.+)$/.exec(entry.trim()) ?? []
    if (number === undefined || id === undefined) throw wrong(schedule, `"${entry}" is no move; wanted "3:money.lost"`)
    if (wanted.has(Number(number))) throw wrong(schedule, `it has two moves ${number}`)
    wanted.set(Number(number), id)
  }
  return wanted
}

function wrong(schedule: string, why: string): ExploreError {
  return new ExploreError('ERR_SCHEDULE', `cannot replay "${schedule}": ${why}`)
}
