import { type DeadLetter, deadLetters } from '@banyan/messaging'
import { Command } from 'commander'
import { type DecisionOptions, withDecisionOrDryRun } from '../decision.ts'
import { CliError } from '../errors.ts'
import { type DatabaseOptions, withDatabase, withOpenDatabase } from '../open-database.ts'
import { someText, wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'
import { table, timeText } from '../table.ts'

interface FilterOptions extends DatabaseOptions {
  group?: string
  type?: string
  key?: string
}

interface DecideOptions extends FilterOptions, Pick<DecisionOptions, 'by'>, Partial<Pick<DecisionOptions, 'why'>> {
  all?: boolean
  dryRun?: boolean
}

const EXAMPLES = `
Examples:
  $ banyan dead-letters list --db data/shipping.db
  $ banyan dead-letters show 17 --db data/shipping.db
  $ banyan dead-letters redrive 17 --db data/shipping.db --why "the address service is back"
  $ banyan dead-letters redrive --all --type order.confirmed --db data/shipping.db --dry-run
  $ banyan dead-letters discard 17 --db data/shipping.db --why "a test order"
  $ banyan dead-letters list --db postgres://user:password@host/shop_shipping`

/** `banyan dead-letters list | show | redrive | discard | stats` */
export function deadLettersCommand(output: Output): Command {
  const command = new Command('dead-letters')
    .description('events that failed for good: their keys are parked until you decide')
    .addHelpText('afterAll', EXAMPLES)
  withFilter(withDatabase(command.command('list').description('the dead letters of a service, oldest first')))
    .option('--limit <number>', 'how many at most', wholeNumber(1, 100_000), 100)
    .option('--json', 'as JSON, one a line')
    .action((options: FilterOptions & { limit: number; json?: boolean }) => list(output, options))
  withDatabase(command.command('show <id>').description('one dead letter, with its event and what was decided before')).action(
    (id: string, options: DatabaseOptions) => show(output, id, options),
  )
  withDatabase(command.command('stats').description('how each group of consumers stands')).action((options: DatabaseOptions) =>
    stats(output, options),
  )
  for (const action of ['redrive', 'discard'] as const) {
    const does =
      action === 'redrive'
        ? 'run dead letters again; those behind them follow in order'
        : 'throw dead letters away; those behind them flow on'
    withDecisionOrDryRun(withFilter(withDatabase(command.command(`${action} [id]`).description(does))))
      .option('--all', 'all that match --group, --type and --key')
      .action((id: string | undefined, options: DecideOptions) => decide(output, action, id, options))
  }
  return command
}

function withFilter(command: Command): Command {
  return command
    .option('--group <name>', 'only those of this group of consumers', someText)
    .option('--type <event>', 'only events of this type', someText)
    .option('--key <key>', 'only events of this key', someText)
}

function list(output: Output, options: FilterOptions & { limit: number; json?: boolean }): Promise<void> {
  return withOpenDatabase(options, async (database) => {
    // One more tells whether there are more.
    const found = await deadLetters(database).list({ ...filterOf(options), limit: options.limit + 1 })
    const letters = found.slice(0, options.limit)
    if (options.json) return output.write(letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''))
    if (letters.length === 0) return output.write('no dead letters\n')
    const rows = letters.map(({ id, group, type, key, reason, attempts, lastAt, message }) => [
      id,
      group,
      type,
      key,
      reason,
      attempts,
      timeText(lastAt),
      message,
    ])
    output.write(table(['id', 'group', 'type', 'key', 'reason', 'attempts', 'last', 'error'], rows))
    if (found.length > letters.length) output.write('and more; --limit says how many are listed\n')
  })
}

function show(output: Output, id: string, options: DatabaseOptions): Promise<void> {
  return withOpenDatabase(options, async (database) => {
    const letter = await deadLetters(database).show(numberOf(id))
    output.write(`${JSON.stringify(withTimes(letter), null, 2)}\n`)
  })
}

function stats(output: Output, options: DatabaseOptions): Promise<void> {
  return withOpenDatabase(options, async (database) => {
    const rows = (await deadLetters(database).stats()).map((of) => [
      of.group,
      of.parkedKeys,
      of.deadLetters,
      of.waiting,
      timeText(of.oldestDeadAt),
    ])
    output.write(rows.length === 0 ? 'no parked keys\n' : table(['group', 'parked keys', 'dead letters', 'waiting', 'oldest'], rows))
  })
}

function decide(output: Output, action: 'redrive' | 'discard', id: string | undefined, options: DecideOptions): Promise<void> {
  if ((id === undefined) === !options.all)
    throw new CliError('ERR_USAGE', `say which to ${action}: an id, or --all with what they have in common`)
  const { by, why, dryRun = false } = options
  if (why === undefined && !dryRun)
    throw new CliError('ERR_USAGE', `say why to ${action}: --why <reason> is kept with the decision; only --dry-run goes without`)
  return withOpenDatabase(options, async (database) => {
    const filter = id === undefined ? filterOf(options) : { ...filterOf(options), id: numberOf(id) }
    // A dry run keeps no decision, so nobody reads the empty reason.
    const { ids } = await deadLetters(database)[action](filter, { by, reason: why ?? '', dryRun })
    if (id !== undefined && ids.length === 0)
      throw new CliError('ERR_DEAD_LETTER_UNKNOWN', `there is no dead letter ${id}; banyan dead-letters list shows them`)
    output.write(
      `${dryRun ? `would ${action}` : action === 'redrive' ? 'redrove' : 'discarded'} ${ids.length}${ids.length > 0 ? `: ${ids.join(', ')}` : ''}\n`,
    )
  })
}

function filterOf({ group, type, key }: FilterOptions) {
  return { ...(group ? { group } : {}), ...(type ? { type } : {}), ...(key ? { key } : {}) }
}

function numberOf(id: string): number {
  const number = Number(id)
  if (Number.isInteger(number) && number > 0) return number
  throw new CliError('ERR_USAGE', `"${id}" is no dead letter's id; wanted a whole number, as banyan dead-letters list shows them`)
}

function withTimes(letter: DeadLetter): object {
  return { ...letter, firstAt: timeText(letter.firstAt), lastAt: timeText(letter.lastAt) }
}
