import { nearest } from '@banyan/core'
import { ExploreError } from './explore-errors.ts'
import type { Move } from './explore-site.ts'

/**
 * A schedule as a short text: the moves that are not the first possible one, each with its number. `3:money.lost,5:money.gives-up`
 * says: all goes its way, but the third move is that the answer of "money" is lost. The empty text: nothing goes wrong.
 */
export function scheduleText(chosen: readonly { readonly id: string; readonly first: boolean }[]): string {
  return chosen.flatMap(({ id, first }, index) => (first ? [] : [`${index + 1}:${id}`])).join(',')
}

/**
 * What a {@link scheduleText} chooses at each move.
 *
 * @throws {ExploreError} `ERR_SCHEDULE` for a text that is no schedule, or of a saga that has changed since
 */
export function chooserOf(schedule: string): (moves: readonly Move[], at: number) => Move | undefined {
  const wanted = new Map<number, string>()
  for (const entry of schedule === '' ? [] : schedule.split(',')) {
    const [, number, id] = /^(\d+):(.+)$/.exec(entry.trim()) ?? []
    if (number === undefined || id === undefined)
      throw new ExploreError('ERR_SCHEDULE', `cannot replay "${schedule}": "${entry}" is no move; wanted "3:money.lost"`)
    wanted.set(Number(number), id)
  }
  return (moves, at) => {
    const id = wanted.get(at + 1)
    if (id === undefined) return moves[0]
    const found = moves.find((move) => move.id === id)
    if (found) return found
    const ids = moves.map((move) => move.id)
    const near = nearest(id, ids)
    const hint = near ? `; did you mean "${near}"?` : '.'
    throw new ExploreError(
      'ERR_SCHEDULE',
      `cannot replay "${schedule}": move ${at + 1} cannot be "${id}"${hint} It can be ${ids.join(', ') || 'nothing'}`,
    )
  }
}
