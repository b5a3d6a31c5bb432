import { describe, expect, it } from 'vitest'
import { statusOf } from './standing.ts'
import type { SagaState } from './state.ts'
import { done, due, failed, leftOf, play, refused, resumed, shape } from './test/shapes.ts'
import { after, initialState } from './transition.ts'

const fails = [failed(), due, failed(), due, failed()]

describe('rule 1: the undo set is every step that was attempted and not proven refused', () => {
  it('undoes the step that failed, too: its effect may be there', () => {
    const { state, actions } = play(shape('a', 'b', 'c'), [done, ...fails])
    expect(leftOf(state)).toEqual(['b', 'a'])
    expect(actions).toEqual([{ kind: 'undo', step: 'b' }])
  })

  it('leaves out the step that was refused', () => {
    expect(leftOf(play(shape('a', 'b', 'c'), [done, done, refused]).state)).toEqual(['b', 'a'])
  })

  it('takes a refusal for no proof after an attempt whose outcome is unknown', () => {
    expect(leftOf(play(shape('a', 'b'), [done, failed(), due, refused]).state)).toEqual(['b', 'a'])
  })

  it('takes a refusal for no proof after a crash', () => {
    expect(leftOf(play(shape('a', 'b'), [done, resumed, refused]).state)).toEqual(['b', 'a'])
  })

  it('proves nothing of later steps by an attempt of an earlier one', () => {
    expect(leftOf(play(shape('a', 'b'), [failed(), due, done, refused]).state)).toEqual(['a'])
  })

  it('leaves out a local step that failed or crashed: its transaction left nothing', () => {
    expect(leftOf(play(shape('a', '(b)'), [done, ...fails]).state)).toEqual(['a'])
    expect(leftOf(play(shape('a', '(b)'), [done, resumed, refused]).state)).toEqual(['a'])
  })

  it('leaves out steps that have nothing to undo', () => {
    expect(leftOf(play(shape('a', 'b-', 'c'), [done, done, refused]).state)).toEqual(['a'])
    expect(play(shape('a-', 'b'), [done, refused]).state).toMatchObject({ status: 'compensated', cause: { step: 'b', code: 'no' } })
  })

  it('is compensated at once when nothing was done', () => {
    expect(play(shape('a', 'b'), [refused]).state).toEqual({
      status: 'compensated',
      cause: { step: 'a', refused: true, code: 'no', message: 'they said no' },
    })
  })
})

describe('rule 3: undo goes in reverse order of start', () => {
  it('ends compensated after the last one', () => {
    const saga = shape('a', 'b', 'c', 'd')
    const turned = [done, done, done, refused]
    const steps = [0, 1, 2].map((undone) => play(saga, [...turned, ...Array(undone).fill(done)]).actions[0])
    expect(steps).toEqual([
      { kind: 'undo', step: 'c' },
      { kind: 'undo', step: 'b' },
      { kind: 'undo', step: 'a' },
    ])
    expect(play(saga, [...turned, done, done, done]).state.status).toBe('compensated')
  })
})

describe('rule 4: an undo that fails for good parks the saga', () => {
  const saga = shape('a', 'b', 'c')

  it('is stuck with an alert after its own number of attempts, and runs nothing after it', () => {
    const first = play(saga, [done, done, refused, failed()])
    expect(first.state).toMatchObject({ status: 'undoing', left: ['b', 'a'], failures: 1, pause: {} })
    const second = play(saga, [done, done, refused, failed(), due, failed()])
    expect(second).toMatchObject({ state: { status: 'stuck' }, actions: [], alert: true })
    expect(leftOf(play(saga, [done, due, failed()], second.state).state)).toEqual(['b', 'a'])
  })

  it('is stuck also when the undo is refused again and again', () => {
    expect(play(saga, [done, done, refused, refused, due, refused]).state).toMatchObject({
      status: 'stuck',
      failure: { code: 'ERR_REFUSED_LATE' },
    })
  })

  it('goes on by hand: retry begins the count anew, skip takes the next one', () => {
    const { state } = play(saga, [done, done, refused, failed(), due, failed()])
    expect(play(saga, [{ kind: 'retry' }], state)).toMatchObject({ state: { failures: 0 }, actions: [{ kind: 'undo', step: 'b' }] })
    expect(play(saga, [{ kind: 'skip' }], state).actions).toEqual([{ kind: 'undo', step: 'a' }])
    expect(play(saga, [{ kind: 'undo', why: { code: 'X', message: 'x' } }], state).state).toBe(state)
  })
})

describe('rule 5: past the pivot there is only the way forward', () => {
  const saga = shape('a', 'p!', 'z')

  it('tries for ever, with pauses that grow to the cap and an alert each time the attempts are used up', () => {
    let { state } = play(saga, [done, done])
    const pauses: number[] = []
    const alerts: number[] = []
    for (let attempt = 1; attempt <= 30; attempt += 1) {
      const turn = after(saga, state, failed({ random: 0.999 }), 0)
      const [action] = turn.actions
      if (action?.kind === 'wait') pauses.push(action.untilMs ?? 0)
      if (turn.alert) alerts.push(attempt)
      state = after(saga, turn.state, due, 0).state
    }
    expect(pauses.slice(0, 5)).toEqual([100, 200, 400, 800, 999])
    expect(pauses).toHaveLength(30)
    expect(alerts.slice(0, 3)).toEqual([3, 6, 9])
    expect(play(saga, [done], state).state.status).toBe('completed')
  })

  it('does not undo for a refusal or a hopeless error past the pivot', () => {
    expect(play(saga, [done, done, refused]).state).toMatchObject({
      lanes: [{ at: 'z', pause: { failure: { code: 'ERR_REFUSED_LATE' } } }],
    })
    expect(statusOf(play(saga, [done, done, failed({ hopeless: true })]).state)).toBe('waiting')
  })

  it('undoes when the pivot is refused at its first attempt', () => {
    expect(leftOf(play(saga, [done, refused]).state)).toEqual(['a'])
  })

  it('never gives up a pivot in another system whose outcome is unknown', () => {
    expect(statusOf(play(saga, [done, ...fails]).state)).toBe('waiting')
    expect(statusOf(play(saga, [done, failed({ hopeless: true })]).state)).toBe('waiting')
  })

  it('asks a person when such a pivot is then refused', () => {
    const { state, alert } = play(saga, [done, failed(), due, refused])
    expect(state).toMatchObject({ status: 'stuck', failure: { code: 'ERR_PIVOT_IN_DOUBT' } })
    expect(alert).toBe(true)
    expect(play(saga, [{ kind: 'skip' }], state).actions).toEqual([{ kind: 'do', step: 'z' }])
    expect(play(saga, [{ kind: 'retry' }], state).actions).toEqual([{ kind: 'do', step: 'p' }])
    expect(leftOf(play(saga, [{ kind: 'undo', why: { code: 'X', message: 'x' } }], state).state)).toEqual(['a'])
  })

  it('gives a local pivot up after its attempts: nothing of it is there', () => {
    expect(leftOf(play(shape('a', '(p!)', 'z'), [done, ...fails]).state)).toEqual(['a'])
    expect(leftOf(play(shape('a', '(p!)', 'z'), [done, failed(), due, refused]).state)).toEqual(['a'])
  })
})

it('a local pivot that counts as done, as a person said, is not taken back by who cancels then', () => {
  const ended: SagaState = { status: 'running', touched: ['a'], lanes: [{ at: 'p', failures: 0, doubt: false, ended: true }] }
  const cancelled = after(shape('a', '(p!)'), ended, { kind: 'cancel', why: { code: 'X', message: 'x' } }, 0)
  expect(cancelled).toEqual({ state: ended, actions: [], alert: false })
})

describe('rule 6: a step that a definition no longer has parks the saga', () => {
  it('on the way forward', () => {
    const { state } = play(shape('a', 'b', 'c'), [done])
    const parked = after(shape('a', 'c'), state, resumed, 0)
    expect(parked).toMatchObject({ state: { status: 'stuck', failure: { code: 'ERR_STEP_UNKNOWN' } }, alert: true })
    expect(play(shape('a', 'b', 'c'), [{ kind: 'retry' }], parked.state).actions).toEqual([{ kind: 'do', step: 'b' }])
    expect(play(shape('a', 'c'), [{ kind: 'skip' }], parked.state).state.status).toBe('stuck')
  })

  it('on the way back, before anything more is undone', () => {
    const { state } = play(shape('a', 'b', 'c'), [done, done, refused])
    expect(after(shape('b', 'c'), state, done, 0).state.status).toBe('stuck')
  })

  it('but not past the pivot for a step before it, which nobody will undo', () => {
    const { state } = play(shape('a', 'p!', 'z'), [done, done])
    expect(after(shape('p!', 'z'), state, done, 0).state.status).toBe('completed')
  })

  it('while it waits', () => {
    const { state } = play(shape('a', 'b'), [failed()])
    expect(after(shape('b'), state, due, 0).state.status).toBe('stuck')
  })
})

describe('rule 7: the retry count of do does not leak into undo', () => {
  it('starts undo at its first attempt', () => {
    const { state } = play(shape('a', 'b'), [done, ...fails])
    expect(state).toMatchObject({ status: 'undoing', failures: 0 })
    expect(statusOf(play(shape('a', 'b'), [failed()], state).state)).toBe('waiting')
  })

  it('starts each undo, and each step, at its first attempt', () => {
    expect(play(shape('a', 'b'), [failed(), due, done]).state).toMatchObject({ lanes: [{ at: 'b', failures: 0 }] })
    expect(play(shape('a', 'b', 'c'), [done, done, refused, failed(), due, done]).state).toMatchObject({ left: ['a'], failures: 0 })
  })
})

describe('attempts', () => {
  const saga = shape('a', 'b')

  it('wait as long as the other side asked for', () => {
    expect(play(saga, [failed({ retryAfterMs: 60_000 })]).actions).toEqual([{ kind: 'wait', step: 'a', untilMs: 61_000 }])
    expect(play(saga, [failed({ retryAfterMs: 1, random: 1 })]).actions).toEqual([{ kind: 'wait', step: 'a', untilMs: 1_100 }])
  })

  it('are not made again when that cannot help', () => {
    expect(leftOf(play(saga, [failed({ hopeless: true })]).state)).toEqual(['a'])
  })

  it('end at the last step', () => {
    expect(play(saga, [done, done])).toEqual({ state: { status: 'completed' }, actions: [], alert: false })
  })

  it('are not touched by events that do not fit', () => {
    for (const state of [play(saga, [done, done]).state, play(saga, [refused]).state]) {
      for (const event of [done, due, resumed, refused, failed()]) expect(after(saga, state, event, 0).state).toBe(state)
    }
    const { state } = play(saga, [failed()])
    for (const event of [done, resumed, refused, failed()]) expect(after(saga, state, event, 0).state).toBe(state)
    expect(after(saga, initialState(saga), due, 0).state).toEqual(initialState(saga))
  })
})
