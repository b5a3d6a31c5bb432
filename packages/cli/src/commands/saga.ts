import { type Decided, type SagaSummary, type Sagas, sagas } from '@banyan/saga'
import { Command } from 'commander'
import { type DecisionOptions, withDecision } from '../decision.ts'
import { type DatabaseOptions, withDatabase, withOpenDatabase } from '../open-database.ts'
import { jsonValue, oneOf, someText, wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'
import { table, timeText } from '../table.ts'
import { addExploring, EXPLORING } from './saga-explore.ts'

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
  $ banyan saga undo 01a1f0c2-... --db data/orders.db --why "the provider says it never happened"
  $ banyan saga override 01a1f0c2-... --db data/orders.db --value '{"label":"JD0123"}' --why "printed by hand"
  $ banyan saga cancel 01a1f0c2-... --db data/orders.db --why "the customer changed her mind"
  $ banyan saga approve 01a1f0c2-... --db data/orders.db --why "a good customer" --value '{"limit":500}'
  $ banyan saga list --db postgres://user:password@host/shop_orders --status stuck`

const DECISIONS = {
  retry: 'let a stuck saga try again',
  skip: 'go on as if the step it is stuck at had worked: you have seen to it by hand',
  undo: 'undo a saga that is stuck on its way forward',
  cancel: 'undo a saga that has not passed its point of no return, wherever it is',
  reject: 'say no to a saga that waits for a person: it is undone',
} as const

const VALUED = {
  override: ['go on as if the step it is stuck at had given this value', 'the result of the step, as JSON'],
  edit: ['give a stuck saga another input, and let it try again', 'the whole input, as JSON'],
  approve: ['say yes to a saga that waits for a person', 'something for the steps that follow, as JSON'],
} as const

/** `banyan saga list | show | retry | skip | override | edit | undo | cancel | approve | reject | verify | explore | diagram` */
export function sagaCommand(output: Output): Command {
  const command = new Command('saga')
    .description('the sagas of a service, and those that wait for you')
    // What has examples of its own shows those alone.
    .addHelpText('afterAll', ({ command }) => (EXPLORING.has(command.name()) ? '' : EXAMPLES))
  withDatabase(command.command('list').description('the sagas of a service, newest first'))
    .option('--status <status>', `one of ${STATUSES.join(', ')}`, oneOf(STATUSES))
    .option('--name <name>', 'only sagas of this definition', someText)
    .option('--key <key>', 'only the saga of this key', someText)
    .option('--limit <number>', 'how many at most', wholeNumber(1, 1_000), 50)
    .option('--json', 'as JSON, one a line')
    .action((options: ListOptions) => list(output, options))
  withDatabase(command.command('show <id>').description('one saga, with its history and what was decided about it')).action(
    (id: string, options: DatabaseOptions) => show(output, id, options),
  )
  addDecisions(command, output)
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

/** What people decide: each says who and why. */
function addDecisions(command: Command, output: Output): void {
  for (const action of ['retry', 'skip', 'undo', 'cancel', 'reject'] as const) {
    withDecision(withDatabase(command.command(`${action} <id>`).description(DECISIONS[action]))).action(
      (id: string, options: DatabaseOptions & DecisionOptions) =>
        decide(output, id, options, (admin, decided) => admin[action](id, decided)),
    )
  }
  for (const action of ['override', 'edit', 'approve'] as const) {
    const [description, value] = VALUED[action]
    const valued = withDecision(withDatabase(command.command(`${action} <id>`).description(description)))
    // An approval may say yes and no more.
    const option = action === 'approve' ? 'option' : 'requiredOption'
    valued[option]('--value <json>', value, jsonValue).action((id: string, { value, ...options }: ValueOptions) =>
      decide(output, id, options, (admin, decided) =>
        action === 'approve' ? admin.approve(id, { ...decided, value }) : admin[action](id, value, decided),
      ),
    )
  }
}

interface ValueOptions extends DatabaseOptions, DecisionOptions {
  value?: unknown
}

function decide(
  output: Output,
  id: string,
  options: DatabaseOptions & DecisionOptions,
  act: (admin: Sagas, decided: Decided) => Promise<SagaSummary>,
): Promise<void> {
  return withOpenDatabase(options, async (database) => {
    const { status, step } = await act(sagas(database), { by: options.by, reason: options.why })
    const next = status === 'completed' || status === 'compensated' ? '' : '; a worker of its service takes it up'
    output.write(`saga ${id} is ${status}${step ? ` at step "${step}"` : ''} now${next}\n`)
  })
}
