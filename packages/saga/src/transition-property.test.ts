import fc from 'fast-check'
import { expect, it } from 'vitest'
import { itemIndex, type SagaShape, type StepShape, stepNamed } from './shape.ts'
import type { SagaState } from './state.ts'
import { shape as lineOf } from './test/shapes.ts'
import { actionsOf, after, initialState, type SagaEvent, type Turn } from './transition.ts'

// The world a saga runs in, as the transition cannot see it: effects that happen or not, whatever answer comes back. Beside it a naive
// model: it keeps a list of what was begun, and nothing else.

type Answer = 'done' | 'refused' | 'failed before' | 'failed after' | 'hopeless' | 'crash before' | 'crash after' | 'cancel'

/** What the model knows of a step, or of one item of it. */
interface Begun {
  readonly name: string
  /** Whether its effect is there. */
  effect: boolean
  /** Whether an attempt ended without an answer that proves what it did. */
  doubt: boolean
  refused: boolean
  done: boolean
  undone: boolean
}

interface Run {
  readonly saga: SagaShape
  /** In the order of their start. */
  readonly begun: Map<string, Begun>
  /** Decisions of `when`s, numbers of items: drawn once, and never asked again. */
  readonly drawn: Map<string, number>
  readonly draw: () => number
  /** The steps whose end moved the saga on, in order. */
  readonly ended: string[]
  turned: boolean
  turn: Turn
}

const answers = fc.constantFrom<Answer>(
  ...([
    'done',
    'done',
    'done',
    'done',
    'refused',
    'failed before',
    'failed after',
    'hopeless',
    'crash before',
    'crash after',
    'cancel',
  ] as const),
)

/** A step in words: kind, and what is around it. */
const kinds = fc.constantFrom('remote', 'remote', 'local', 'all', 'each', 'wait', 'sleep', 'child', 'when')
const shapes = fc
  .record({
    before: fc.array(kinds, { maxLength: 4 }),
    pivot: fc.constantFrom('remote', 'local', undefined),
    after: fc.array(kinds, { maxLength: 2 }),
  })
  .filter(({ before, pivot }) => before.length > 0 || pivot !== undefined)
  .map(({ before, pivot, after }) => shapeOf(before, pivot, pivot ? after : []))

function shapeOf(before: readonly string[], pivot: string | undefined, behind: readonly string[]): SagaShape {
  const steps: StepShape[] = []
  const base = (name: string, place: StepShape['place'], kind: StepShape['kind']): StepShape => ({
    ...(lineOf('a').steps[0] as StepShape),
    ...{ name, place, kind, undoable: place === 'before' && (kind === 'remote' || kind === 'local' || kind === 'child') },
    ...(kind === 'wait' && { otherwise: place === 'before' ? 'undo' : 'continue' }),
  })
  const add = (kind: string, place: 'before' | 'after', index: number) => {
    const name = `${place === 'before' ? 'b' : 'z'}${index}`
    if (kind === 'all') for (const n of ['x', 'y', 'z']) steps.push({ ...base(name + n, place, 'remote'), group: `${name}x` })
    else if (kind === 'each') steps.push({ ...base(name, place, 'remote'), each: true })
    else if (kind === 'when') {
      steps.push(base(name, place, 'when'))
      steps.push({ ...base(`${name}in`, place, 'remote'), inside: [name] }, { ...base(`${name}on`, place, 'local'), inside: [name] })
    } else steps.push(base(name, place, kind as StepShape['kind']))
  }
  for (const [index, kind] of before.entries()) add(kind, 'before', index)
  if (pivot) steps.push(base('p', 'pivot', pivot as 'remote' | 'local'))
  for (const [index, kind] of behind.entries()) add(kind, 'after', index)
  return { name: 'test', version: 1, steps }
}

it('whatever happens: nothing is skipped, undone past the pivot, undone twice or left behind', () => {
  fc.assert(
    fc.property(shapes, fc.array(fc.tuple(answers, fc.nat(9)), { maxLength: 60 }), (saga, script) => {
      let at = 0
      const draw = () => script[at++ % Math.max(1, script.length)]?.[1] ?? 1
      const turn = { state: initialState(saga), actions: actionsOf(initialState(saga)), alert: false }
      const run: Run = { saga, begun: new Map(), drawn: new Map(), draw, ended: [], turned: false, turn }
      for (const [answer, which] of script) step(run, answer, which)
      // From here on all goes well, and people decide where they must.
      for (let turns = 0; turns < 300 && !isOver(run); turns += 1) {
        if (run.turn.state.status === 'stuck') decide(run)
        else step(run, 'done', turns)
      }
      check(run)
    }),
    { numRuns: 4_000 },
  )
})

/** The names that steps of the shapes began with: some have others now. */
const firstNames = { b0: 'money', b1x: 'hotel', z1: 'b0', p: 'charge' }
const word = { code: 'X', message: 'x' }
const failure = { failure: word, hopeless: false, retryAfterMs: undefined, random: 0.5 }
const events = fc.constantFrom<SagaEvent>(
  { kind: 'done' },
  { kind: 'done' },
  { kind: 'refused', refusal: word },
  { kind: 'failed', ...failure },
  { kind: 'failed', ...failure, hopeless: true },
  { kind: 'waits', until: 5_000 },
  { kind: 'waits', until: undefined },
  { kind: 'expired' },
  { kind: 'chosen', yes: true },
  { kind: 'chosen', yes: false },
  { kind: 'spread', items: 0 },
  { kind: 'spread', items: 2 },
  { kind: 'unreadable', failure: word },
  { kind: 'due' },
  { kind: 'due' },
  { kind: 'resumed' },
  { kind: 'retry' },
  { kind: 'skip' },
  { kind: 'undo', why: word },
  { kind: 'cancel', why: word },
)

it('no event makes a saga forget the names that its steps began with', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(shapes, fc.array(fc.tuple(events, fc.nat(9)), { maxLength: 40 }), (saga, script) => {
      let state = { ...initialState(saga), firstNames } as SagaState
      for (const [event, which] of script) {
        const actions = actionsOf(state)
        // Now and then a program that lacks a step.
        const shape = which === 9 ? { ...saga, steps: saga.steps.slice(1) } : saga
        state = after(shape, state, { step: actions[which % Math.max(1, actions.length)]?.step, ...event } as SagaEvent, 1_000).state
        seen.add(state.status)
        const way = state.status === 'stuck' ? state.resume : state
        if (way.status === 'running' || way.status === 'undoing') expect(way.firstNames).toEqual(firstNames)
      }
    }),
    { numRuns: 2_000 },
  )
  expect(seen).toEqual(new Set(['running', 'undoing', 'stuck', 'completed', 'compensated']))
})

function move(run: Run, event: SagaEvent): void {
  const before = run.turn.state
  run.turn = after(run.saga, before, event, 1_000)
  const next = run.turn.state
  if (next.status !== 'undoing' && next.status !== 'compensated') return
  if (before.status === 'undoing' || run.turned) return
  // It has turned round this moment: what is to be undone is what was begun and is not proven refused, the last one first.
  run.turned = true
  const left = next.status === 'undoing' ? next.left : []
  const open = next.status === 'undoing' ? next.open.map(({ at }) => at) : []
  expect(left).toEqual(toUndo(run, open))
}

/** What has to be undone, as the model has it; `open`: attempts that have not ended. */
function toUndo({ saga, begun }: Run, open: readonly string[]): string[] {
  return [...begun.values()]
    .filter(({ name, done, doubt }) => (done || doubt || open.includes(name)) && stepNamed(saga, name)?.undoable)
    .map(({ name }) => name)
    .reverse()
}

function step(run: Run, answer: Answer, which: number) {
  const { state } = run.turn
  const actions = actionsOf(state)
  begin(run)
  if (answer === 'cancel') return move(run, { kind: 'cancel', why: { code: 'ERR_SAGA_CANCELLED', message: 'no' } })
  const action = actions[which % Math.max(1, actions.length)]
  if (!action) return
  if (action.kind === 'wait') return waited(run, action.step, which)
  if (action.kind === 'undo') return undo(run, action.step, answer)
  attempt(run, action.step, answer)
}

/** Notes what is on: all that may be attempted is attempted at once. */
function begin({ saga, turn: { state }, begun }: Run): void {
  if (state.status !== 'running') return
  for (const { at, ended } of state.lanes) {
    const each = stepNamed(saga, at)?.each && itemIndex(at) === undefined
    if (!ended && !each && !begun.has(at))
      begun.set(at, { name: at, effect: false, doubt: false, refused: false, done: false, undone: false })
  }
}

function waited(run: Run, name: string, which: number) {
  const { state } = run.turn
  const lane = state.status === 'running' ? state.lanes.find(({ at }) => at === name) : undefined
  move(run, { kind: 'due', step: name })
  const kind = stepNamed(run.saga, name)?.kind
  if (!lane || lane.pause?.failure || (kind !== 'wait' && kind !== 'sleep' && kind !== 'child')) return
  if (kind === 'wait' && which % 3 === 0) {
    const stays = stepNamed(run.saga, name)?.otherwise === 'continue'
    if (stays) run.ended.push(name)
    const one = run.begun.get(name)
    if (one) one.done = stays
    return move(run, { kind: 'expired', step: name })
  }
  if (kind === 'child' && which % 4 === 0) return childRefused(run, name)
  finish(run, name)
}

/** A child that was undone: it has no effect, and its refusal proves it. */
function childRefused(run: Run, name: string): void {
  const one = run.begun.get(name)
  if (one && stepNamed(run.saga, name)?.place === 'before') Object.assign(one, { doubt: false, effect: false })
  move(run, { kind: 'refused', step: name, refusal: { code: 'no', message: 'no' } })
}

function finish(run: Run, name: string): void {
  const one = run.begun.get(name)
  if (one) Object.assign(one, { done: true, effect: true, doubt: false })
  run.ended.push(name)
  move(run, { kind: 'done', step: name })
}

function attempt(run: Run, name: string, answer: Answer) {
  const step = stepNamed(run.saga, name)
  if (step?.kind === 'when' || (step?.each && itemIndex(name) === undefined)) return decideNow(run, step)
  const one = run.begun.get(name)
  if (!one || !step) throw new Error(`"${name}" was never begun`)
  if (step.kind !== 'remote' && step.kind !== 'local') {
    if (answer.startsWith('crash')) return move(run, { kind: 'resumed' })
    one.doubt = step.kind === 'child'
    one.effect = step.kind === 'child'
    return move(run, { kind: 'waits', until: 5_000, step: name })
  }
  answerOf(run, one, step, answer)
}

function answerOf(run: Run, one: Begun, step: StepShape, answer: Answer) {
  const { name } = one
  // A transaction that failed, was refused, or died left nothing: it never fails after its effect.
  const isLocal = step.kind === 'local'
  const undoing = run.turn.state.status === 'undoing'
  if (!isLocal && (answer === 'failed after' || answer === 'crash after')) one.effect = true
  if (answer === 'done') {
    if (!undoing) return finish(run, name)
    Object.assign(one, { done: true, effect: true })
    return move(run, { kind: 'done', step: name })
  }
  if (answer === 'refused') {
    one.refused = true
    return move(run, { kind: 'refused', step: name, refusal: { code: 'no', message: 'they said no' } })
  }
  if (answer.startsWith('crash')) {
    for (const other of run.begun.values()) if (onTheirWay(run, other)) other.doubt = true
    return move(run, { kind: 'resumed' })
  }
  if (!isLocal) one.doubt = true
  const hopeless = answer === 'hopeless'
  move(run, { kind: 'failed', step: name, failure: { code: 'X', message: 'x' }, hopeless, retryAfterMs: undefined, random: 0.5 })
}

/** A crash cuts off every attempt in another system that is on. */
function onTheirWay({ saga, turn: { state } }: Run, { name }: Begun): boolean {
  if (stepNamed(saga, name)?.kind !== 'remote') return false
  if (state.status === 'undoing') return state.open.some(({ at }) => at === name)
  return state.status === 'running' && state.lanes.some(({ at, pause, ended }) => at === name && !pause && !ended)
}

function decideNow(run: Run, step: StepShape): void {
  const drawn = run.drawn.get(step.name) ?? run.draw()
  run.drawn.set(step.name, drawn)
  if (step.kind === 'when') move(run, { kind: 'chosen', yes: drawn % 2 === 0, step: step.name })
  else move(run, { kind: 'spread', items: drawn % 4, step: step.name })
}

function undo(run: Run, name: string, answer: Answer) {
  const one = run.begun.get(name)
  if (!one) throw new Error(`"${name}" is undone, and was never begun`)
  expect(stepNamed(run.saga, name)?.place, 'undone past the pivot').toBe('before')
  expect(run.begun.get('p')?.effect ?? false, 'undone past the pivot').toBe(false)
  if (answer === 'done' || answer === 'failed after' || answer === 'crash after') one.effect = false
  if (answer === 'done') {
    expect(one.undone, `"${name}" is undone twice`).toBe(false)
    one.undone = true
    return move(run, { kind: 'done', step: name })
  }
  if (answer === 'refused') return move(run, { kind: 'refused', refusal: { code: 'no', message: 'no' }, step: name })
  if (answer.startsWith('crash')) return move(run, { kind: 'resumed' })
  move(run, { kind: 'failed', failure: { code: 'X', message: 'x' }, hopeless: false, retryAfterMs: undefined, random: 0.5, step: name })
}

/** A person who looks into the other system decides rightly. */
function decide(run: Run) {
  const { state } = run.turn
  if (state.status !== 'stuck') return
  const name = state.resume.status === 'running' ? state.resume.lanes[0]?.at : undefined
  const one = name === undefined ? undefined : run.begun.get(name)
  if (!one || state.resume.status === 'undoing') return move(run, { kind: 'retry' })
  if (one.effect || stepNamed(run.saga, one.name)?.place === 'after') {
    Object.assign(one, { done: true, effect: true })
    run.ended.push(one.name)
    return move(run, { kind: 'skip' })
  }
  one.doubt = false
  move(run, { kind: 'undo', why: { code: 'X', message: 'it did not happen' } })
}

function isOver({ turn: { state } }: Run): boolean {
  return state.status === 'completed' || state.status === 'compensated'
}

function check(run: Run): void {
  const { saga, turn, begun, ended } = run
  expect(['completed', 'compensated']).toContain(turn.state.status)
  const effects = [...begun.values()].filter(({ name, effect }) => effect && stepNamed(saga, name)?.kind.match(/remote|local|child/))
  if (turn.state.status === 'completed') expect(ended.toSorted()).toEqual(wanted(run).toSorted())
  else expect(effects.filter(({ name }) => stepNamed(saga, name)?.undoable).map(({ name }) => name)).toEqual([])
}

/** What a saga that completes has done, by its decisions: everything but the `when`s themselves. */
function wanted({ saga, drawn }: Run): string[] {
  const isIn = ({ inside = [] }: StepShape) => inside.every((when) => (drawn.get(when) ?? 1) % 2 === 0)
  return saga.steps.filter(isIn).flatMap((one) => {
    if (one.kind === 'when') return []
    return one.each ? Array.from({ length: (drawn.get(one.name) ?? 0) % 4 }, (_, index) => `${one.name}[${index}]`) : [one.name]
  })
}
