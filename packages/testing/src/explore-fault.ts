import type { Answer } from './explore-run.ts'

/**
 * What may go wrong, each as one fault:
 *
 * - `error`: a call or a commit fails, and nothing has happened
 * - `lost`: the call has its effect, the answer is lost
 * - `late`: the caller gives up waiting, the call arrives at any later point
 * - `twice`: the call arrives, and once more at any later point
 * - `refusal`: a service says no for a reason of its own (of those its operation declares)
 * - `crash`: the worker dies before a call leaves, while it travels, before what came of it is stored, or after; a new one resumes
 * - `pause`: the worker sleeps until another has its saga; its call leaves late, and what it stores is refused
 */
export const FAULT_KINDS = ['error', 'lost', 'late', 'twice', 'refusal', 'crash', 'pause'] as const
export type FaultKind = (typeof FAULT_KINDS)[number]

/** What a caller sees of each. An answer that is lost and one that is late look the same from here. */
export const ANSWER_LOST: Answer = { error: { name: 'Error', code: 'ERR_ANSWER_LOST', message: 'no answer came in time' } }
export const NOT_REACHED: Answer = { error: { name: 'Error', code: 'ERR_NOT_REACHED', message: 'the service could not be reached' } }
export const DIED_HALFWAY: Answer = { error: { name: 'Error', code: 'ERR_CONNECTION_LOST', message: 'the connection was lost' } }
export const DATABASE_AWAY = { code: 'ERR_DATABASE_AWAY', message: 'the database could not be reached' }
