import type { FlowShape } from '@banyan/saga'
import type { LoadedModule } from './load-module.ts'

/** The flows that a module exports; each once, however many exports have it. */
export function flowsIn(module: LoadedModule): readonly FlowShape[] {
  return [...new Set(Object.values(module))].filter(isFlow)
}

function isFlow(value: unknown): value is FlowShape {
  return typeof value === 'object' && value !== null && 'withinMs' in value && 'places' in value && Array.isArray(value.places)
}
