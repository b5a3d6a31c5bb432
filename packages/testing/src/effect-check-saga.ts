/** One effect of a saga's step, as the receiver has recorded it. */
export interface SagaEffect {
  /** The saga it was done for. */
  readonly saga: string
  readonly step: string
  readonly kind: 'do' | 'undo'
  /** Who has recorded it. What one receiver has undone is compared in its order; left out: the order says nothing. */
  readonly at?: string
}

/** How a saga ended. */
export interface SagaEnd {
  readonly saga: string
  readonly status: string
  /** The step that is known to have been refused, as it was drawn; left out: none was. */
  readonly refusedAt?: string | undefined
}

/** What the steps of a definition must have left. */
export interface SagaRules {
  /** Steps that can be undone, in the order of their start. */
  readonly before: readonly string[]
  /** The pivot and what comes after it: done in the end, and never undone. */
  readonly past: readonly string[]
}

/** What is wrong with sagas and their effects; each entry says `<saga> <step> ...`. All empty: nothing. */
export interface SagaFaults {
  /** Asked for, and no saga; or a step of a completed one without its effect. */
  readonly lost: readonly string[]
  /** An effect that happened more than once, or was undone more than once. */
  readonly twice: readonly string[]
  /** Undone before it was done, before a step that was started later, or past the pivot. */
  readonly inverted: readonly string[]
  /** Neither completed nor compensated. */
  readonly inLimbo: readonly string[]
  /** Effects of compensated sagas that are still there, and of completed ones that are not. */
  readonly left: readonly string[]
  /** Effects without a saga, undone or not; and of steps that the saga never came to. */
  readonly orphans: readonly string[]
}

/**
 * Compares what receivers recorded, each in the order it happened, with how the sagas ended.
 *
 * Completed: each step's effect once, and not undone. Compensated: each effect that happened was undone afterwards, once, in
 * reverse order of start, and nothing past the pivot happened.
 */
export function checkSagaEffects(
  asked: readonly string[],
  ends: readonly SagaEnd[],
  effects: readonly SagaEffect[],
  rules: SagaRules,
): SagaFaults {
  const found: Record<keyof SagaFaults, string[]> = { lost: [], twice: [], inverted: [], inLimbo: [], left: [], orphans: [] }
  const known = new Set(ends.map(({ saga }) => saga))
  found.lost.push(...asked.filter((saga) => !known.has(saga)).map((saga) => `${saga} was never started`))
  const bySaga = Map.groupBy(effects, ({ saga }) => saga)
  const strangers = [...bySaga].filter(([saga]) => !known.has(saga))
  found.orphans.push(...strangers.flatMap(([saga, list]) => list.map(({ step, kind }) => `${saga} ${step} ${kind}`)))
  for (const end of ends) checkOne(end, bySaga.get(end.saga) ?? [], rules, found)
  return found
}

/** The number of all faults. */
export function countSagaFaults(faults: SagaFaults): number {
  return Object.values(faults).reduce((sum: number, list: readonly string[]) => sum + list.length, 0)
}

function checkOne(end: SagaEnd, effects: readonly SagaEffect[], rules: SagaRules, found: Record<keyof SagaFaults, string[]>): void {
  const { saga, status, refusedAt } = end
  if (status !== 'completed' && status !== 'compensated') {
    found.inLimbo.push(`${saga} is ${status}`)
    return
  }
  const steps = [...rules.before, ...rules.past]
  const ofStep = Map.groupBy(effects, ({ step }) => step)
  for (const step of ofStep.keys()) if (!steps.includes(step)) found.orphans.push(`${saga} ${step} is no step`)
  for (const step of steps) {
    const kinds = (ofStep.get(step) ?? []).map(({ kind }) => kind)
    const done = kinds.filter((kind) => kind === 'do').length
    const undone = kinds.length - done
    if (done > 1 || undone > 1) found.twice.push(`${saga} ${step}: ${kinds.join(', ')}`)
    if (kinds[0] === 'undo' || (undone > 0 && rules.past.includes(step))) found.inverted.push(`${saga} ${step}: ${kinds.join(', ')}`)
    if (status === 'completed' && done === 0) found.lost.push(`${saga} ${step} was not done`)
    if (status === 'completed' && undone > 0) found.left.push(`${saga} ${step} was undone, and the saga completed`)
    if (status === 'compensated' && done > undone) found.left.push(`${saga} ${step} was not undone`)
    if (step === refusedAt && done > 0) found.orphans.push(`${saga} ${step} was refused, and done`)
  }
  found.inverted.push(...undoneTooEarly(effects, rules).map((what) => `${saga} ${what}`))
  if (status === 'completed' && refusedAt !== undefined) found.left.push(`${saga} completed, and ${refusedAt} was refused`)
}

/** At each receiver by itself: nobody knows what came first at two of them. */
function undoneTooEarly(effects: readonly SagaEffect[], { before }: SagaRules): string[] {
  const undone = effects.filter(({ at, kind }) => at !== undefined && kind === 'undo')
  return [...Map.groupBy(undone, ({ at }) => at).values()].flatMap((list) =>
    list.flatMap(({ step }, index) => {
      const next = list[index + 1]?.step
      return next !== undefined && before.indexOf(next) > before.indexOf(step) ? [`${step} was undone before ${next}`] : []
    }),
  )
}
