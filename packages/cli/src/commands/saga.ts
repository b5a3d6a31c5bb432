import { type SagaSummary, sagas } from '@banyan/saga'
import { Command } from 'commander'
import { type DecisionOptions, withDecision } from '../decision.ts'
import { type DatabaseOptions, withDatabase, withOpenDatabase } from '../open-database.ts'
import { oneOf, wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'
import { table, timeText } from '../table.ts'
import { addExploring } from './saga-explore.ts'

const STATUSES = ['running', 'undoing', 'waiting', 'stuck', 'completed', 'compensated'] as const

interface ListOptions extends DatabaseOptions {
  status?: (typeof STATUSES)[number]
  name?: string
  key?: string
  limit: number
  json?: boolean
}

const EXAMPLES = `
Examples:
  $ banyan saga list --db data/orders.db --status stuck
  $ banyan saga show 01a1f0c2-... --db data/orders.db
  $ banyan saga retry 01a1f0c2-... --db data/orders.db --why "the provider is back"
  $ banyan saga skip 01a1f0c2-... --db data/orders.db --why "refunded by hand, ticket 17"
  $ banyan saga undo 01a1f0c2-... --db data/orders.db --why "the provider says it never happened"`

const DECISIONS = {
  retry: 'let a stuck saga try again',
  skip: 'go on as if the step it is stuck at had worked: you have seen to it by hand',
  undo: 'undo a saga that is stuck on its way forward',
} as const

/** `banyan saga list | show | retry | skip | undo | verify | explore | diagram` */
export function sagaCommand(output: Output): Command {
  const command = new Command('saga').description('the sagas of a service, and those that wait for you').addHelpText('afterAll', EXAMPLES)
  withDatabase(command.command('list').description('the sagas of a service, newest first'))
    .option('--status <status>', `one of ${STATUSES.join(', ')}`, oneOf(STATUSES))
    .option('--name <name>', 'only sagas of this definition')
    .option('--key <key>', 'only the saga of this key')
    .option('--limit <number>', 'how many at most', wholeNumber(1, 1_000), 50)
    .option('--json', 'as JSON, one a line')
    .action((options: ListOptions) => list(output, options))
  withDatabase(command.command('show <id>').description('one saga, with its history and what was decided about it')).action(
    (id: string, options: DatabaseOptions) => show(output, id, options),
  )
  for (const action of ['retry', 'skip', 'undo'] as const) {
    withDecision(withDatabase(command.command(`${action} <id>`).description(DECISIONS[action]))).action(
      (id: string, options: DatabaseOptions & DecisionOptions) => decide(output, action, id, options),
    )
  }
  addExploring(command, output)
  return command
}

function list(output: Output, options: ListOptions): Promise<void> {
  const { status, name, key, limit, json } = options
  return withOpenDatabase(options, async (database) => {
    const found = await sagas(database).list({ limit, ...(status ? { status } : {}), ...(name ? { name } : {}), ...(key ? { key } : {}) })
    if (json) return output.write(found.map((saga) => `${JSON.stringify(saga)}\n`).join(''))
    if (found.length === 0) return output.write(status ? `no sagas are ${status}\n` : 'no sagas\n')
    output.write(table(['id', 'saga', 'key', 'status', 'step', 'failures', 'changed', 'why'], found.map(rowOf)))
  })
}

function rowOf({ id, name, version, key, status, step, failures, updatedAt, failure }: SagaSummary): readonly unknown[] {
  return [
    id,
    `${name}/${version}`,
    key,
    status,
    step,
    failures,
    timeText(updatedAt),
    failure ? `${failure.code}: ${failure.message}` : undefined,
  ]
}

function show(output: Output, id: string, options: DatabaseOptions): Promise<void> {
  return withOpenDatabase(options, async (database) => {
    const { history, decisions, ...saga } = await sagas(database).show(id)
    output.write(`${JSON.stringify({ ...saga, createdAt: timeText(saga.createdAt), updatedAt: timeText(saga.updatedAt) }, null, 2)}\n`)
    const rows = history.map((entry) => [
      timeText(entry.at),
      entry.action,
      entry.step,
      entry.outcome,
      entry.attempt,
      entry.worker,
      entry.message,
    ])
    output.write(`\n${table(['at', 'action', 'step', 'outcome', 'attempt', 'worker', 'message'], rows)}`)
    if (decisions.length === 0) return
    const decided = decisions.map((decision) => [timeText(decision.at), decision.action, decision.step, decision.by, decision.why])
    output.write(`\n${table(['at', 'decided', 'step', 'by', 'why'], decided)}`)
  })
}

function decide(output: Output, action: 'retry' | 'skip' | 'undo', id: string, options: DatabaseOptions & DecisionOptions): Promise<void> {
  return withOpenDatabase(options, async (database) => {
    const { status, step } = await sagas(database)[action](id, { by: options.by, reason: options.why })
    output.write(`saga ${id} is ${status}${step ? ` at step "${step}"` : ''} now; a worker of its service takes it up\n`)
  })
}
