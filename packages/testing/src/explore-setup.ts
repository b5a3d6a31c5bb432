import { shown, type Transaction, type World } from '@banyan/core'
import type { AnySaga, Saga } from '@banyan/saga/internal'
import { bodyRunner, localText } from './explore-body.ts'
import { type ExploredDatabase, simulatedDatabase } from './explore-database.ts'
import { engineOf } from './explore-engine.ts'
import { FAULT_KINDS, type FaultKind } from './explore-fault.ts'
import { memo } from './explore-memo.ts'
import type { Moment } from './explore-moment.ts'
import { bookOf, type Handled, handle as handleLetter, operationNamed } from './explore-operation.ts'
import { type ExploredWorld, type Invariants, type Rules, rulesOf } from './explore-rules.ts'
import { fromText, keptText } from './explore-run.ts'
import { clientOf } from './explore-service.ts'
import type { Site } from './explore-site.ts'
import { stillWorld } from './explore-world.ts'

/** What the steps of the saga call: the operations of each service. */
export type ClientsOf<Services> = {
  readonly [Name in keyof Services]: Services[Name] extends { readonly client: infer Client } ? Client : never
}

type StatesOf<Services> = { readonly [Name in keyof Services]: Services[Name] extends { readonly state: infer State } ? State : never }

export interface ExploreOptions<Input, Services, Local = unknown> {
  /** What the saga is started with. */
  input: Input
  /** Those who take part, by name. */
  services: Services
  /** What must hold at the end of each schedule, when nothing is under way any more; not of a saga that is rightly stuck. */
  invariants?: Invariants<ExploredWorld<StatesOf<Services>, Local>>
  /** What must hold at every moment. */
  always?: Invariants<ExploredWorld<StatesOf<Services>, Local>>
  /** The most faults in one schedule, 0 to 10. Default 3. */
  faults?: number
  /** Which faults there are; an unknown one is refused. Default: all, see {@link FaultKind}. */
  kinds?: readonly FaultKind[]
  /** The database of the local steps. Default: a {@link simulatedDatabase} of {@link ExploreOptions.local}. */
  database?: ExploredDatabase
  /**
   * What others may do in the saga's own database, each at most once, at any moment before the saga has ended: a customer who
   * cancels, a clerk who changes the address. Not a fault. Default: nothing.
   */
  meanwhile?: Readonly<Record<string, (tx: Transaction) => unknown>>
  /** Whether somebody may cancel the saga, once, at any moment before its pivot. Not a fault. Default false. */
  cancel?: boolean
  /** What a `wait`, an `approve` or a `child` of the saga gives when it comes, by step; other names are refused. Default: nothing. */
  answers?: Readonly<Record<string, unknown>>
  /**
   * Steps that a completed saga may have done without the effect that they have when nothing goes wrong, as a card that is declined where
   * another one pays. What holds instead is for `invariants` to say. Other names are refused. Default: none.
   */
  mayLack?: readonly string[]
  /** What `localState(tx)` is at the start: plain data. Default: `{}`. */
  local?: object
  /** A schedule to go through alone, as a report has printed it. */
  replay?: string
  /**
   * How many different moments are looked at, from 1. Where there are more, the result is not `complete`: that nothing is broken then
   * says nothing. Default 1,000,000.
   */
  maxMoments?: number
}

/** Any services: their types are those of `service()`. */
export type AnyServices = Readonly<Record<string, { readonly state: unknown; readonly operations: object; readonly client: object }>>

/** The most faults a schedule can have. */
export const MOST_FAULTS = 10

/** Everything that is the same in all schedules, and where they begin. */
export interface Prepared {
  readonly definition: AnySaga
  readonly site: Site
  readonly rules: Rules
  readonly first: Moment
  /** The operations, so far, that changed something and never said that they have an effect. */
  readonly silent: () => string[]
}

/** @throws {RangeError} for an option out of range; {@link TypeError} for a name in one that there is not */
export async function prepare<Input, Services extends AnyServices, Local>(
  saga: Saga<Input> | ((clients: ClientsOf<Services>) => Saga<Input>),
  options: ExploreOptions<Input, Services, Local>,
): Promise<Prepared> {
  const {
    input,
    faults = 3,
    invariants = {},
    always = {},
    kinds = FAULT_KINDS,
    local = {},
    meanwhile = {},
    cancel = false,
    answers = {},
    mayLack = [],
  } = options
  checkWhole('faults', faults, 0, MOST_FAULTS)
  checkWhole('maxMoments', options.maxMoments ?? 1, 1, Number.MAX_SAFE_INTEGER)
  checkNames('kinds', kinds, FAULT_KINDS, `there are ${FAULT_KINDS.join(', ')}`)
  const world = stillWorld()
  const database = options.database ?? simulatedDatabase(world, local)
  // The types of a service's operations say what steps may call; here they are called by name.
  const services = options.services as unknown as Site['services']
  const definition: AnySaga = typeof saga === 'function' ? saga(clientsOf(options.services)) : saga
  checkAnswers(definition, answers)
  const names = definition.steps.map((step) => step.name)
  checkNames('mayLack', mayLack, names, `the steps of saga "${definition.name}" are ${names.join(', ')}`)
  const engine = engineOf(definition, world.now())
  const started = startedAs(definition, input)
  const bodies = bodyRunner({ saga: definition, ...started, database, engine, world })
  const first: Moment = {
    state: engine.begin(),
    results: '{}',
    attempts: [],
    wire: [],
    books: Object.fromEntries(Object.entries(services).map(([name, { state }]) => [name, bookOf(state, {}, name)])),
    local: localText(await database.save()),
    effects: [],
    done: [],
    happened: [],
    passed: false,
    excused: false,
    wrong: undefined,
    life: 1,
    faults: 0,
  }
  const { handle, silent } = handlerOf(world, services)
  const site: Site = {
    engine,
    bodies,
    handle,
    services,
    meanwhile,
    cancel,
    answers,
    faults,
    kinds: new Set(kinds),
  }
  // Invariants are typed by the services' states; here they are called with the same states.
  const rules = rulesOf({
    saga: definition,
    ...started,
    always: always as Invariants<ExploredWorld>,
    atEnd: invariants as Invariants<ExploredWorld>,
    mayLack,
  })
  return { definition, site, rules, first, silent }
}

/** A worker knows a saga as it was stored. */
function startedAs(definition: AnySaga, input: unknown): { input: unknown; key: string } {
  // The saga's own input: its type was checked where explore() was called.
  const key = definition.keyOf(input as never)
  return { key, input: fromText(keptText(input, `the input of saga "${definition.name}"`) ?? 'null') }
}

function checkWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  throw new RangeError(`cannot explore: "${name}" is ${shown(value)}, wanted a whole number from ${least} to ${most}`)
}

/** What nobody asks for would be left out without a word, and what it was to try with it. */
function checkAnswers({ name, steps }: AnySaga, answers: Readonly<Record<string, unknown>>): void {
  const waiting = steps.filter(({ kind }) => kind === 'wait' || kind === 'approve' || kind === 'child').map((step) => step.name)
  const there = waiting.length === 0 ? `nothing in saga "${name}" waits` : `those of saga "${name}" are ${waiting.join(', ')}`
  checkNames('answers', Object.keys(answers), waiting, `wanted steps that wait for an event, an approval or a child saga; ${there}`)
}

function checkNames(option: string, given: readonly string[], known: readonly string[], wanted: string): void {
  const stranger = given.find((name) => !known.includes(name))
  if (stranger !== undefined) throw new TypeError(`cannot explore: "${option}" has "${stranger}"; ${wanted}`)
}

/** Runs operations, and keeps in mind which of them change something and never say that they have an effect. */
function handlerOf(world: World, services: Site['services']): { handle: Site['handle']; silent: () => string[] } {
  const remember = memo<Handled>()
  const changing = new Set<string>()
  const speaking = new Set<string>()
  return {
    silent: () => [...changing].filter((name) => !speaking.has(name)).sort(),
    handle(letter, books) {
      const { service, operation } = letter
      const book = books[service] ?? '{}'
      const found = operationNamed(services[service]?.operations ?? {}, service, operation)
      return remember(`${JSON.stringify(letter)} ${book}`, async () => {
        const handled = await handleLetter(world, found, letter, book)
        if (handled.book !== book) changing.add(`${service}.${operation}`)
        if (handled.effects !== 0 || (typeof found === 'object' && 'guard' in found)) speaking.add(`${service}.${operation}`)
        return handled
      })
    },
  }
}

/** What the steps call. */
export function clientsOf<Services extends AnyServices>(services: Services): ClientsOf<Services> {
  // Each client is that of its service, under the name it has here; TypeScript cannot follow Object.entries.
  return Object.fromEntries(
    Object.entries(services).map(([name, { operations }]) => [name, clientOf(operations, name)]),
  ) as ClientsOf<Services>
}
