import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SagaShape } from './shape.ts'
import { done, due, failed, refused, resumed, shape } from './test/shapes.ts'
import { after, initialState, type SagaEvent, type Turn } from './transition.ts'

// The world a saga runs in, as the transition cannot see it: effects that happen or not, whatever answer comes back.

type Answer = 'done' | 'refused' | 'failed before' | 'failed after' | 'crash before' | 'crash after'

interface Run {
  /** Steps whose effect is there. */
  readonly effects: Set<string>
  readonly undone: string[]
  turn: Turn
}

const answers = fc.constantFrom<Answer>('done', 'done', 'done', 'refused', 'failed before', 'failed after', 'crash before', 'crash after')
const shapes = fc
  .record({
    before: fc.integer({ min: 0, max: 4 }),
    pivot: fc.constantFrom('p!', '(p!)', undefined),
    after: fc.integer({ min: 0, max: 2 }),
    local: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  })
  .filter(({ before, pivot }) => before > 0 || pivot !== undefined)
  .map(({ before, pivot, after, local }) => {
    const names = ['a', 'b', 'c', 'd'].slice(0, before).map((name, index) => (local[index] ? `(${name})` : name))
    return shape(...names, ...(pivot ? [pivot, ...['y', 'z'].slice(0, after)] : []))
  })

it('whatever happens: no effect is left behind or undone past the pivot, and each undo works once', () => {
  fc.assert(
    fc.property(shapes, fc.array(answers, { maxLength: 60 }), (saga, script) => {
      const run: Run = { effects: new Set(), undone: [], turn: after(saga, initialState(saga), due, 0) }
      for (const answer of script) step(saga, run, answer)
      // From here on all goes well, and people decide where they must.
      for (let turns = 0; turns < 200 && !isOver(run); turns += 1) {
        if (run.turn.state.status === 'stuck') run.turn = after(saga, run.turn.state, decisionFor(run), 0)
        else step(saga, run, 'done')
      }
      check(saga, run)
    }),
    { numRuns: 3_000 },
  )
})

function step(saga: SagaShape, run: Run, answer: Answer): void {
  const { action, state } = run.turn
  if (action.kind === 'wait') run.turn = after(saga, state, due, 0)
  if (action.kind !== 'do' && action.kind !== 'undo') return
  const shape = saga.steps.find(({ name }) => name === action.step)
  // A transaction that failed, was refused, or died left nothing: it never fails after its effect.
  const local = shape?.kind === 'local'
  const happens = answer === 'done' || (!local && (answer === 'failed after' || answer === 'crash after'))
  if (happens && action.kind === 'do') run.effects.add(action.step)
  if (happens && action.kind === 'undo') {
    expect(run.effects.has('p'), 'undone past the pivot').toBe(false)
    run.effects.delete(action.step)
  }
  if (action.kind === 'undo' && answer === 'done') run.undone.push(action.step)
  run.turn = after(saga, state, eventOf(answer), 0)
}

function eventOf(answer: Answer): SagaEvent {
  if (answer === 'done') return done
  if (answer === 'refused') return refused
  return answer.startsWith('failed') ? failed({ hopeless: false }) : resumed
}

/** A person who looks into the other system decides rightly. */
function decisionFor({ turn: { state }, effects }: Run): SagaEvent {
  if (state.status !== 'stuck' || state.resume.status === 'undoing') return { kind: 'retry' }
  return effects.has(state.resume.at) ? { kind: 'skip' } : { kind: 'undo', why: { code: 'X', message: 'it did not happen' } }
}

function isOver({ turn: { state } }: Run): boolean {
  return state.status === 'completed' || state.status === 'compensated'
}

function check(saga: SagaShape, { turn: { state }, effects, undone }: Run): void {
  expect(['completed', 'compensated']).toContain(state.status)
  expect(new Set(undone).size, 'a step was undone twice').toBe(undone.length)
  const order = saga.steps.map(({ name }) => name)
  expect(undone).toEqual([...undone].sort((a, b) => order.indexOf(b) - order.indexOf(a)))
  if (state.status === 'completed') expect([...effects].sort()).toEqual([...order].sort())
  else expect([...effects]).toEqual([])
}
