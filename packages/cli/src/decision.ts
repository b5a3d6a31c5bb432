import { userInfo } from 'node:os'
import type { Command } from 'commander'

/** Who decides about something by hand, and why; it is kept. */
export interface DecisionOptions {
  by: string
  why: string
}

/** Adds the words that say who decides and why. */
export function withDecision(command: Command): Command {
  return command.option('--by <who>', 'who decides', userName()).requiredOption('--why <reason>', 'why; it is kept with the decision')
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container may run as a user without a name.
    return 'unknown'
  }
}
