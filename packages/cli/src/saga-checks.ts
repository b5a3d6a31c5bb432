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

/** Time limits that cannot be met: what comes after them is never reached. */
function timesOf(saga: Checked): string[] {
  const { deadlineMs, steps } = saga
  if (deadlineMs === undefined) return []
  const findings: string[] = []
  let least = 0
  for (const { name, kind, withinMs, place } of steps as readonly { name: string; kind: string; withinMs?: number; place: string }[]) {
    if (place !== 'before') break
    if (least >= deadlineMs) {
      findings.push(
        `${nameOf(saga)}: step "${name}" is never reached: the pauses before it take ${least} ms, the saga has ${deadlineMs} ms`,
      )
      break
    }
    if (kind === 'sleep') least += withinMs ?? 0
    else if (withinMs !== undefined && withinMs > deadlineMs)
      findings.push(`${nameOf(saga)}: step "${name}" may take ${withinMs} ms, longer than the ${deadlineMs} ms that the whole saga has`)
  }
  return findings
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
