import { explainSaga } from '@banyan/saga'
import type { SagaShape } from './saga-module.ts'

/** A definition as far as the checks go; a newer one may say more. */
type Checked = SagaShape & { readonly deadlineMs?: number | undefined; readonly migrate?: Readonly<Record<number, unknown>> }

/** What is, or may be, wrong with some definitions, each in a sentence that names the saga. */
export function findingsOf(sagas: readonly Checked[]): string[] {
  return [...sagas.flatMap((saga) => [...explained(saga), ...timesOf(saga)]), ...acrossVersions(sagas)]
}

function explained(saga: Checked): string[] {
  return explainSaga(saga).warnings.map((warning) => `${nameOf(saga)}: ${warning}`)
}

/** A step as far as its time goes. */
interface Timed {
  readonly name: string
  readonly kind: string
  readonly place: string
  readonly withinMs: number | undefined
  readonly inside?: readonly string[]
  readonly durationMs?: (...context: unknown[]) => number
}

/** Time limits that cannot be met: what comes after them is never reached. */
function timesOf(saga: Checked): string[] {
  const { deadlineMs } = saga
  if (deadlineMs === undefined) return []
  const findings: string[] = []
  let pausedMs = 0
  for (const step of (saga.steps as readonly Timed[]).filter(({ place }) => place !== 'after')) {
    const { name, withinMs } = step
    if (pausedMs >= deadlineMs) {
      findings.push(
        `${nameOf(saga)}: step "${name}" is never reached: the pauses before it take ${pausedMs} ms, the saga has ${deadlineMs} ms`,
      )
      break
    }
    if (withinMs !== undefined && withinMs > deadlineMs)
      findings.push(`${nameOf(saga)}: step "${name}" may take ${withinMs} ms, longer than the ${deadlineMs} ms that the whole saga has`)
    pausedMs += fixedPauseOf(step)
  }
  return findings
}

/** How long a pause takes that is always made, and always as long. */
function fixedPauseOf({ kind, inside, durationMs }: Timed): number {
  return kind === 'sleep' && !inside?.length && durationMs?.length === 0 ? durationMs() : 0
}

/** Two definitions of one name: sagas that run under the one may be taken up by the other. */
function acrossVersions(sagas: readonly Checked[]): string[] {
  const findings: string[] = []
  const byName = Map.groupBy(sagas, ({ name }) => name)
  for (const versions of byName.values()) {
    const sorted = versions.toSorted((one, other) => one.version - other.version)
    for (const [index, later] of sorted.entries()) {
      const before = sorted[index - 1]
      if (!before) continue
      if (before.version === later.version) findings.push(`${nameOf(later)} is defined twice`)
      else findings.push(...movedSteps(before, later))
    }
  }
  return findings
}

function movedSteps(before: Checked, later: Checked): string[] {
  if (later.migrate?.[before.version] !== undefined) return []
  return before.steps.flatMap((step) => {
    const now = later.steps.find(({ name }) => name === step.name)
    if (!now)
      return [`${nameOf(later)}: it has no step "${step.name}" any more, and no "migrate": version ${before.version} cannot go on in it`]
    if (now.kind === step.kind) return []
    return [`${nameOf(later)}: step "${step.name}" is ${now.kind}, in version ${before.version} it was ${step.kind}; give it another name`]
  })
}

function nameOf({ name, version }: SagaShape): string {
  return `saga ${name}, version ${version}`
}
