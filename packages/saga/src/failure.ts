import { codeOf, messageOf, type Refusal } from '@banyan/core'
import type { Failure } from './state.ts'

/**
 * How much of what went wrong is stored, characters. A message stands in the saga's state and in each line of its history: one of
 * megabytes, as a page that a proxy answered with, would soon not fit a row, and the end it tells of could never be stored.
 */
const MOST = { code: 200, message: 2_000 } as const

/** What an error says, as it is stored: texts, whatever was thrown. Never throws. */
export function failureFrom(error: unknown, withoutCode: string = nameOf(error)): Failure {
  return { code: storable(codeOf(error) || withoutCode, MOST.code), message: storable(messageOf(error), MOST.message) }
}

/** What a refusal says, as it is stored. One that was made of another system's answer may have a body where the sentence should be. */
export function failureOfRefusal({ refused, detail }: Refusal): Failure {
  return { code: storable(refused, MOST.code), message: storable(messageOf(detail ?? refused), MOST.message) }
}

/** Without a code, its class says most about an error. */
function nameOf(error: unknown): string {
  try {
    return (error instanceof Error && String(error.name)) || 'ERR_UNKNOWN'
  } catch {
    return 'ERR_UNKNOWN'
  }
}

/** A half of a surrogate pair, which no database takes, is there or comes of the cut. */
function storable(text: string, most: number): string {
  return (text.length > most ? `${text.slice(0, most - 1)}…` : text).toWellFormed()
}
