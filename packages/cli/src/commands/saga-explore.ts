import { CodedError } from '@banyan/core'
import { diagramSaga } from '@banyan/saga'
import type { Command } from 'commander'
import { CliError } from '../errors.ts'
import { oneOf, wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'
import { findingsOf } from '../saga-checks.ts'
import { sagaTable } from '../saga-diagram.ts'
import { type ExplorableSaga, type ExploredSaga, loadSagas, type SagaShape } from '../saga-module.ts'

const FORMATS = ['text', 'mermaid'] as const

const VERIFY_EXAMPLES = `
Examples:
  $ banyan saga verify orders/place-order.ts           a module that exports sagas
  $ banyan saga verify orders/explore.ts               or one that exports explorable(...)`

const EXPLORE_EXAMPLES = `
Examples:
  $ banyan saga explore orders/explore.ts
  $ banyan saga explore orders/explore.ts --faults 2
  $ banyan saga explore orders/explore.ts --replay "4:money.late,5:money.gives-up"

The module exports what explorable() of @banyan/testing/explore makes:
  export default explorable(placeOrder, () => ({ input, services: { stock, payments }, invariants }))`

const DIAGRAM_EXAMPLES = `
Examples:
  $ banyan saga diagram orders/explore.ts
  $ banyan saga diagram orders/explore.ts --format mermaid > fulfilment.mmd`

/** The commands of {@link addExploring}. */
export const EXPLORING: ReadonlySet<string> = new Set(['verify', 'explore', 'diagram'])

/** Adds `verify`, `explore` and `diagram`: what can be said about a saga before it runs. */
export function addExploring(command: Command, output: Output): void {
  command
    .command('verify <module>')
    .description('say what may be wrong with the sagas a module exports; exit status 1 if anything is')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action((file: string) => verify(output, file))
  command
    .command('explore <module>')
    .description(
      'run a saga through every schedule with a few faults; exit status 1 with the shortest that breaks a rule, or if not all was looked at',
    )
    .option('--faults <number>', 'the most faults in one schedule; left out, what the module says, or 3', wholeNumber(0, 10))
    .option('--replay <schedule>', 'go through this one schedule, as a report has printed it, of each saga that it is one of')
    .option(
      '--max-moments <number>',
      'give up after looking at so many moments; left out, what the module says, or 1000000',
      wholeNumber(1, Number.MAX_SAFE_INTEGER),
    )
    .addHelpText('after', EXPLORE_EXAMPLES)
    .action((file: string, options: { faults?: number; replay?: string; maxMoments?: number }) => explore(output, file, options))
  command
    .command('diagram <module>')
    .description('draw the sagas a module exports')
    .option('--format <format>', `one of ${FORMATS.join(', ')}`, oneOf(FORMATS), 'text')
    .addHelpText('after', DIAGRAM_EXAMPLES)
    .action((file: string, options: { format: (typeof FORMATS)[number] }) => diagram(output, file, options.format))
}

async function verify(output: Output, file: string): Promise<void> {
  const { definitions, explorables } = await loadSagas(file)
  const findings = findingsOf(definitions)
  for (const finding of findings) output.write(`${finding}\n`)
  // With those who take part at hand, a few schedules show what no reading does: steps that nothing comes to.
  for (const one of explorables) {
    const found = (await one.explore({ faults: 1 })).notes.map((note) => `${file}: ${note}`)
    for (const finding of found) output.write(`${finding}\n`)
    findings.push(...found)
  }
  if (findings.length > 0)
    throw new CliError('ERR_SAGA_FINDINGS', `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'} in ${file}`)
  output.write(`${definitions.map(titleOf).join('; ')}: nothing found\n`)
}

async function explore(output: Output, file: string, options: { faults?: number; replay?: string; maxMoments?: number }): Promise<void> {
  const { explorables, definitions } = await loadSagas(file)
  if (explorables.length === 0) {
    const names = definitions.map(titleOf).join(', ')
    const wanted = 'wanted explorable(saga, () => ({ input, services })) of @banyan/testing/explore'
    throw new CliError('ERR_USAGE', `"${file}" exports ${names}, but nobody who takes part in it: ${wanted}`)
  }
  const found = await exploreAll(output, explorables, options)
  const broken = found.filter((one) => one.broken).length
  const unfinished = found.filter((one) => !one.broken && !one.complete).length
  if (broken > 0) throw new CliError('ERR_SAGA_BROKEN', `${broken} of ${found.length} sagas in ${file} can be broken`)
  if (unfinished > 0) {
    const what = `${unfinished} of ${found.length} sagas in ${file} ${unfinished === 1 ? 'was' : 'were'} not looked at in full`
    throw new CliError('ERR_SAGA_UNFINISHED', `${what}: raise --max-moments, or lower --faults`)
  }
}

/** What came of each; with a schedule, of those that it is one of. @throws what the first says of a schedule that none has */
async function exploreAll(
  output: Output,
  explorables: readonly ExplorableSaga[],
  options: Parameters<ExplorableSaga['explore']>[0],
): Promise<ExploredSaga[]> {
  const found: ExploredSaga[] = []
  let stranger: unknown
  for (const one of explorables) {
    try {
      const explored = await one.explore(options)
      output.write(`${explored.text}\n`)
      found.push(explored)
    } catch (error) {
      if (!(error instanceof CodedError && error.code === 'ERR_SCHEDULE')) throw error
      stranger ??= error
    }
  }
  if (found.length === 0) throw stranger
  return found
}

async function diagram(output: Output, file: string, format: (typeof FORMATS)[number]): Promise<void> {
  const { definitions } = await loadSagas(file)
  output.write(definitions.map(format === 'mermaid' ? diagramSaga : sagaTable).join('\n'))
}

function titleOf({ name, version }: SagaShape): string {
  return `saga ${name}, version ${version}`
}
