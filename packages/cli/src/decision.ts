import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { someText } from './option-values.ts'

/** Who decides about something by hand, and why; it is kept. */
export interface DecisionOptions {
  by: string
  why: string
}

/** Adds the words that say who decides and why. */
export function withDecision(command: Command): Command {
  return withDecider(command).requiredOption(...WHY)
}

/** The same where a dry run is possible, which decides nothing and so needs no reason: the command asks for it itself. */
export function withDecisionOrDryRun(command: Command): Command {
  return withDecider(command)
    .option(...WHY)
    .option('--dry-run', 'only say what would be done')
}

const WHY = ['--why <reason>', 'why; it is kept with the decision', someText] as const

function withDecider(command: Command): Command {
  return command.option('--by <who>', 'who decides', someText, userName())
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container may run as a user without a name.
    return 'unknown'
  }
}
