import type { SagaStep } from './definition.ts'
import { baseName, itemIndex } from './shape.ts'

/** The name under which the items of a step are stored. */
export function itemsName(step: string): string {
  return `${step}[]`
}

/** The results as contexts show them: those of the items of a step as one list. */
export function resultsFor(steps: readonly SagaStep[], stored: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const lists = steps.filter(({ each, name }) => each && itemsName(name) in stored)
  if (lists.length === 0) return stored
  const plain = Object.entries(stored).filter(([name]) => !name.endsWith(']'))
  return Object.fromEntries([
    ...plain,
    ...lists.map(({ name }) => [name, itemsOf(stored, name).map((_, index) => stored[`${name}[${index}]`])]),
  ])
}

/** The item that an attempt of a step is for; `undefined` for steps without items. */
export function itemOf(stored: Readonly<Record<string, unknown>>, lane: string): { value: unknown; index: number } | undefined {
  const index = itemIndex(lane)
  return index === undefined ? undefined : { value: itemsOf(stored, baseName(lane))[index], index }
}

function itemsOf(stored: Readonly<Record<string, unknown>>, step: string): readonly unknown[] {
  const items = stored[itemsName(step)]
  return Array.isArray(items) ? items : []
}
