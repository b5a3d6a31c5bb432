/** One engine, ready to run the saga of this benchmark: four steps in other systems, each with its way back. */
export interface SagaSubject {
  /** Starts a saga under a key of its own; resolves when its end is stored. */
  run(key: string): Promise<void>
  close(): Promise<void>
}

export const STEPS = ['stock', 'money', 'parcel', 'label'] as const

/** What a step gives back: the engines store it. The step itself costs nothing, so that only the engine is measured. */
export interface StepResult {
  readonly id: string
}

export async function doStep(step: string, key: string): Promise<StepResult> {
  return { id: `${step}-${key}` }
}

export interface SagaSite {
  /** An empty database, for those that need one. */
  readonly url: string
  /** An empty folder, on a disk. */
  readonly folder: string
}
