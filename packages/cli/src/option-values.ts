import { messageOf, nearest } from '@banyan/core'
import { InvalidArgumentError } from 'commander'

/** Reads a whole number from an option's word. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`Wanted a whole number from ${least} to ${most}.`)
  }
}

/** Reads a text. None is refused: a script's variable that is not set must not say what leaving the option out would. */
export function someText(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('Wanted a text that is not empty.')
}

/** Reads one of some words; a near miss is told the right one. */
export function oneOf<const Word extends string>(words: readonly Word[]): (text: string) => Word {
  return (text) => {
    const found = words.find((word) => word === text)
    if (found) return found
    const near = nearest(text, words)
    throw new InvalidArgumentError(`${near ? `Did you mean "${near}"? ` : ''}Wanted one of ${words.join(', ')}.`)
  }
}

/** Reads JSON from an option's word. */
export function jsonValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new InvalidArgumentError(`Wanted JSON, as in '{"limit":500}': ${messageOf(cause)}.`)
  }
}
