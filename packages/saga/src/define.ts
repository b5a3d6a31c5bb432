import type { SagaBuilder } from './builder.ts'
import { addStep, type Collected, type LooseStep } from './define-step.ts'
import type { AnySaga, SagaOptions, SagaStep } from './definition.ts'
import { checkName, checkWhole, LONGEST_MS } from './options.ts'
import type { StepShape } from './shape.ts'

/**
 * Defines a saga: a list of steps, each with the way back, and a point of no return.
 *
 * @throws {TypeError} {RangeError} for names and options that are not allowed; the types refuse most of them before
 * @see Garcia-Molina and Salem, "Sagas", 1987; Richardson, Microservices Patterns, chapter 4
 */
export function saga<Input>(name: string, options: SagaOptions<Input>): SagaBuilder<Input, Record<never, never>> {
  checkName('define saga', '"name"', name)
  checkOptions(name, options)
  const { version, key, deadlineMs, concurrency, codec, migrate = {} } = options
  const rest = { version, deadlineMs, concurrency, codec, migrate, encoded: codec !== undefined }
  // The builder below collects what the typed interface lets through; what it has collected is checked again as it comes.
  const collected: Collected = { name, ...rest, keyOf: key as (input: never) => string, steps: [], inside: [] }
  return chain(collected) as unknown as SagaBuilder<Input, Record<never, never>>
}

function checkOptions<Input>(name: string, { version, deadlineMs = 1, concurrency = 1, migrate = {} }: SagaOptions<Input>): void {
  const action = `define saga "${name}"`
  checkWhole(action, 'version', version, 1)
  checkWhole(action, 'deadlineMs', deadlineMs, 1, LONGEST_MS)
  checkWhole(action, 'concurrency', concurrency, 1, 10_000)
  for (const old of Object.keys(migrate)) checkWhole(action, 'migrate', Number(old), 1, version - 1)
}

/** What a step needs that only waits or decides. */
const NO_EFFECT = 'it has no effect'

/** The builder as it runs: the typed interfaces say who may call what. */
interface Chain {
  readonly steps: readonly SagaStep[]
  [method: string]: unknown
}

function chain(saga: Collected): Chain {
  const hasPivot = saga.steps.some(({ place }) => place !== 'before') || saga.pastPivot === true
  const place: StepShape['place'] = hasPivot ? 'after' : 'before'
  const add = (name: string, step: LooseStep) => chain({ ...saga, steps: addStep(saga, name, { place, ...step }) })
  const still = place === 'before' ? { undo: { nothing: NO_EFFECT } } : {}
  return {
    steps: saga.steps,
    step: (name: string, step: LooseStep) => add(name, { ...step, kind: 'remote' }),
    local: (name: string, step: LooseStep) => add(name, { ...step, kind: 'local' }),
    all: (steps: Record<string, LooseStep>) => all(saga, place, Object.entries(steps)),
    together: (build: (group: Group) => Group) => all(saga, place, build(groupOf([])).members),
    each: (name: string, items: LooseStep['items'], step: LooseStep) => add(name, { ...step, items, kind: 'remote', each: true }),
    when: (name: string, predicate: LooseStep['predicate'], build: (branch: Chain) => Chain) =>
      when({ ...saga, steps: addStep(saga, name, { ...still, place, predicate, kind: 'when' }) }, name, place, build),
    wait: (name: string, { for: event, ...step }: LooseStep) => add(name, { ...still, ...step, event, kind: 'wait' }),
    sleep: (name: string, duration: LooseStep['duration']) => add(name, { ...still, duration, kind: 'sleep' }),
    approve: (name: string, step: LooseStep) => add(name, { ...still, ...step, kind: 'approve' }),
    child: (name: string, child: AnySaga, step: LooseStep) => add(name, { ...step, saga: child, kind: 'child' }),
    pivot(name: string, { local, ...step }: LooseStep) {
      if (hasPivot) throw new TypeError(`cannot define saga "${saga.name}": "${name}" would be a second pivot`)
      if (saga.inside.length > 0) throw new TypeError(`cannot define saga "${saga.name}": pivot "${name}" stands inside a "when"`)
      return add(name, local ? { ...step, do: local, kind: 'local', place: 'pivot' } : { ...step, kind: 'remote', place: 'pivot' })
    },
    done(outputOf: (c: never) => unknown = () => undefined): AnySaga {
      if (saga.steps.length === 0) throw new TypeError(`cannot define saga "${saga.name}": it has no steps`)
      const { inside: _inside, pastPivot: _pastPivot, ...definition } = saga
      return { ...definition, outputOf }
    },
  }
}

function all(saga: Collected, place: StepShape['place'], members: readonly [name: string, step: LooseStep][]): Chain {
  const group = members[0]?.[0]
  if (group === undefined) throw new TypeError(`cannot define saga "${saga.name}": an "all" has no steps`)
  let collected = saga
  for (const [name, step] of members)
    collected = { ...collected, steps: addStep(collected, name, { ...step, kind: 'remote', place, group }) }
  return chain(collected)
}

interface Group {
  readonly members: readonly [name: string, step: LooseStep][]
  step(name: string, step: LooseStep): Group
}

function groupOf(members: Group['members']): Group {
  return { members, step: (name, step) => groupOf([...members, [name, step]]) }
}

function when(saga: Collected, name: string, place: StepShape['place'], build: (branch: Chain) => Chain): Chain {
  const branch = chain({ ...saga, inside: [...saga.inside, name], pastPivot: place === 'after' })
  const { steps } = build(branch)
  if (!saga.steps.every((step, index) => steps[index] === step))
    throw new TypeError(`cannot define saga "${saga.name}": "when" "${name}" gives back another builder than its branch`)
  if (steps.length === saga.steps.length) throw new TypeError(`cannot define saga "${saga.name}": "when" "${name}" has no steps`)
  return chain({ ...saga, steps })
}
