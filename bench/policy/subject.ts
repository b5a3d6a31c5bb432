/** One thing to be measured: what a call of it costs. */
export interface Subject {
  /** Makes one call that ends well, or as the subject is about, and settles with it. */
  call(): Promise<unknown>
  /** How many calls make a slice: enough for the clock, few where a call is dear. */
  readonly calls: number
  /** Makes ready for a slice; not measured. */
  prepare?(): Promise<void>
}

/** Subjects by name, set up when they are wanted. */
export type Subjects = Readonly<Record<string, () => Promise<Subject>>>

/** What every subject protects. */
export const answer = async (): Promise<number> => 1

const down = new Error('down')
/** The same, failing. One error for all: making one would cost more than anything measured here. */
export const fail = async (): Promise<number> => {
  throw down
}

/** Many cheap calls a slice. */
export const CHEAP = 20_000
/** Of calls that set timers. */
export const DEAR = 2_000
/** Of failing calls: few beside the 50,000 that fill a window. */
export const FAILING = 2_000
