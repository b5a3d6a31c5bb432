import { CodedError, messageOf } from '@banyan/core'
import { Command, CommanderError } from 'commander'
import { deadLettersCommand } from './commands/dead-letters.ts'
import { devCommand } from './commands/dev.ts'
import { flowCommand } from './commands/flow.ts'
import { gatewayCommand } from './commands/gateway.ts'
import { mapCommand } from './commands/map.ts'
import { registryCommand } from './commands/registry.ts'
import { sagaCommand } from './commands/saga.ts'

/** Where a command prints. */
export interface Output {
  write(text: string): void
  writeError(text: string): void
}

const EXAMPLES = `
Examples:
  $ banyan dev system.ts                        run a system on this machine
  $ banyan gateway check gateway.yaml           look a gateway file over
  $ banyan registry --port 8500                 run the embedded registry
  $ banyan saga list --db data/orders.db --status stuck
  $ banyan flow list --db data/history.db --flagged
  $ banyan map orders/explore.ts history/flow.ts
  $ banyan dead-letters redrive --db data/shipping.db --all --dry-run`

/** The `banyan` program. */
export function program(output: Output): Command {
  const root = new Command('banyan')
    .description('From one program to many services, and correct when processes die')
    .addHelpText('after', EXAMPLES)
    .showSuggestionAfterError()
    .addCommand(devCommand(output))
    .addCommand(gatewayCommand(output))
    .addCommand(registryCommand(output))
    .addCommand(sagaCommand(output))
    .addCommand(flowCommand(output))
    .addCommand(mapCommand(output))
    .addCommand(deadLettersCommand(output))
  for (const command of everyCommand(root)) {
    command.exitOverride().configureOutput({ writeOut: output.write, writeErr: output.writeError, outputError: output.writeError })
  }
  return root
}

/**
 * Runs the program with its arguments.
 *
 * @returns the exit status: 0 done, 1 it did not work, 2 a word was wrong
 */
export async function runProgram(args: readonly string[], output: Output): Promise<number> {
  try {
    await program(output).parseAsync([...args], { from: 'user' })
    return 0
  } catch (error) {
    // Commander has said what was wrong, or printed the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    output.writeError(`${messageOf(error)}\n`)
    return error instanceof CodedError && error.code === 'ERR_USAGE' ? 2 : 1
  }
}

function everyCommand(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}
