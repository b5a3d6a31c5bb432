import { nearest } from '@banyan/core'
import { diagramFlow, type FlowSummary, flows } from '@banyan/saga'
import { Command } from 'commander'
import { type DecisionOptions, withDecision } from '../decision.ts'
import { CliError } from '../errors.ts'
import { flowsIn } from '../flow-module.ts'
import { loadModule } from '../load-module.ts'
import { type DatabaseOptions, withDatabase, withOpenDatabase } from '../open-database.ts'
import { oneOf, someText, wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'
import { table, timeText } from '../table.ts'

const STATUSES = ['running', 'stopped', 'ended', 'ignored'] as const
const FLAGS = ['stopped', 'no-start', 'undeclared', 'ended-twice', 'after-end'] as const

interface ListOptions extends DatabaseOptions {
  name?: string
  status?: (typeof STATUSES)[number]
  flagged?: boolean
  flag?: (typeof FLAGS)[number]
  limit: number
  json?: boolean
}

interface AckOptions extends DatabaseOptions, DecisionOptions {
  flag?: (typeof FLAGS)[number]
}

const EXAMPLES = `
Examples:
  $ banyan flow list --db data/history.db --flagged
  $ banyan flow list --db data/history.db --flag stopped
  $ banyan flow show checkout 01a1f0c2-... --db data/history.db
  $ banyan flow ack checkout 01a1f0c2-... --db data/history.db --why "shipped by hand, ticket 17"
  $ banyan flow list --db postgres://user:password@host/shop_history --flagged
  $ banyan flow diagram history/flow.ts`

/** `banyan flow list | show | ack | diagram` */
export function flowCommand(output: Output): Command {
  const command = new Command('flow')
    .description('what services that only speak by events did together, and what of it nobody declared')
    .addHelpText('afterAll', EXAMPLES)
  withDatabase(command.command('list').description('the flows a service watches, the latest changed first'))
    .option('--name <name>', 'only flows of this declaration', someText)
    .option('--status <status>', `one of ${STATUSES.join(', ')}`, oneOf(STATUSES))
    .option('--flagged', 'only those with a flag that nobody has acknowledged')
    .option('--flag <kind>', `only those with this one: ${FLAGS.join(', ')}`, oneOf(FLAGS))
    .option('--limit <number>', 'how many at most', wholeNumber(1, 10_000), 50)
    .option('--json', 'as JSON, one a line')
    .action((options: ListOptions) => list(output, options))
  withDatabase(
    command.command('show <name> <correlationId>').description('one flow, with its events, its flags and what was decided'),
  ).action((flow: string, correlationId: string, options: DatabaseOptions) => show(output, { flow, correlationId }, options))
  withDecision(withDatabase(command.command('ack <name> <correlationId>').description('say that somebody has looked at its flags')))
    .option('--flag <kind>', `only at this one: ${FLAGS.join(', ')}`, oneOf(FLAGS))
    .action((flow: string, correlationId: string, options: AckOptions) => acknowledge(output, { flow, correlationId }, options))
  command
    .command('diagram <file>')
    .description('the flows that a module exports, as Mermaid')
    .option('--name <name>', 'only this one', someText)
    .action((file: string, options: { name?: string }) => diagram(output, file, options.name))
  return command
}

function list(output: Output, options: ListOptions): Promise<void> {
  const { name, status, flagged, flag, limit, json } = options
  const filter = {
    ...(name ? { flow: name } : {}),
    ...(status ? { status } : {}),
    ...(flag ? { flag } : flagged ? { flag: true as const } : {}),
  }
  return withOpenDatabase(options, async (database) => {
    const found = await flows(database).list({ limit, ...filter })
    if (json) return output.write(found.map((one) => `${JSON.stringify(one)}\n`).join(''))
    if (found.length === 0) return output.write(flagged || flag ? 'no flow is flagged\n' : 'no flows\n')
    output.write(table(['flow', 'correlation id', 'status', 'at', 'changed', 'flags'], found.map(rowOf)))
  })
}

function rowOf({ flow, version, correlationId, status, standsAt, updatedAt, open }: FlowSummary): readonly unknown[] {
  const flags = open.map(({ kind, detail }) => `${kind}: ${detail}`).join('; ')
  return [`${flow}/${version}`, correlationId, status, standsAt, timeText(updatedAt), flags || undefined]
}

function show(output: Output, key: { flow: string; correlationId: string }, options: DatabaseOptions): Promise<void> {
  return withOpenDatabase(options, async (database) => {
    const { flow, version, correlationId, status, events, more, flags, decisions } = await flows(database).show(key)
    output.write(`flow ${flow}, version ${version}, of ${correlationId}: ${status}\n\n`)
    output.write(
      table(
        ['published', 'seen', 'event', 'id'],
        events.map((event) => [timeText(event.time), timeText(event.seenAt), event.type, event.id]),
      ),
    )
    if (more > 0) output.write(`and ${more} more\n`)
    if (flags.length > 0) {
      const rows = flags.map(({ at, kind, detail, clearedAt, acknowledged }) => {
        const state = clearedAt !== undefined ? 'cleared' : acknowledged ? `seen by ${acknowledged.by}` : 'open'
        return [timeText(at), kind, state, detail]
      })
      output.write(`\n${table(['flagged', 'flag', 'state', 'what'], rows)}`)
    }
    if (decisions.length === 0) return
    const decided = decisions.map(({ at, flag, event, by, why }) => [timeText(at), flag, event, by, why])
    output.write(`\n${table(['acknowledged', 'flag', 'event', 'by', 'why'], decided)}`)
  })
}

function acknowledge(output: Output, key: { flow: string; correlationId: string }, options: AckOptions): Promise<void> {
  return withOpenDatabase(options, async (database) => {
    const decided = { by: options.by, reason: options.why, ...(options.flag ? { flag: options.flag } : {}) }
    const { status, open } = await flows(database).acknowledge(key, decided)
    output.write(`flow ${key.flow} of ${key.correlationId} is ${status}, ${open.length} flags open\n`)
  })
}

async function diagram(output: Output, file: string, name: string | undefined): Promise<void> {
  const found = flowsIn(await loadModule(file))
  const wanted = name === undefined ? found : found.filter((flow) => flow.name === name)
  if (wanted.length === 0) {
    const near =
      name &&
      nearest(
        name,
        found.map((flow) => flow.name),
      )
    const hint = found.length === 0 ? 'wanted an export made by flow()' : `it has ${found.map((flow) => flow.name).join(', ')}`
    throw new CliError('ERR_USAGE', `"${file}" exports no flow${name ? ` "${name}"` : ''}; ${near ? `did you mean "${near}"?` : hint}`)
  }
  output.write(wanted.map((flow) => `${wanted.length > 1 ? `%% ${flow.name}/${flow.version}\n` : ''}${diagramFlow(flow)}\n`).join('\n'))
}
