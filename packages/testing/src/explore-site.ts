import type { Transaction } from '@banyan/core'
import type { BodyRunner } from './explore-body.ts'
import type { Engine } from './explore-engine.ts'
import type { FaultKind } from './explore-fault.ts'
import type { Moment } from './explore-moment.ts'
import type { Handled, Letter } from './explore-operation.ts'
import type { SimulatedService } from './explore-service.ts'

/** One thing that may happen next. */
export interface Move {
  /** Unique among the moves of a moment: `money.lost`. */
  readonly id: string
  readonly cost: 0 | 1
  readonly to: Moment
  /** A line for people. */
  readonly tell: () => string
}

/** What does not change in an exploration. */
export interface Site {
  readonly engine: Engine
  readonly bodies: BodyRunner
  /** Runs one atomic step of the operation a letter is for. */
  readonly handle: (letter: Letter, books: Moment['books']) => Promise<Handled>
  readonly services: Readonly<Record<string, SimulatedService<unknown>>>
  /** What may happen once beside the saga, in its own database, by its name. */
  readonly meanwhile: Readonly<Record<string, (tx: Transaction) => unknown>>
  /** Whether somebody may cancel the saga. */
  readonly cancel: boolean
  /** What a wait, an approval or a child saga gives, by step. */
  readonly answers: Readonly<Record<string, unknown>>
  /** How many faults a schedule may have. */
  readonly faults: number
  readonly kinds: ReadonlySet<FaultKind>
}

/** Whether one more fault of a kind may happen. */
export function mayFail({ faults, kinds }: Site, moment: Moment, kind: FaultKind): boolean {
  return moment.faults < faults && kinds.has(kind)
}

/** In one order, however they came to be there: equal moments must look equal. */
export function sorted(wire: Moment['wire']): Moment['wire'] {
  if (wire.length < 2) return wire
  return wire
    .map((sent) => [JSON.stringify(sent), sent] as const)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, sent]) => sent)
}

/** The moment after the worker's end. What services are in the middle of goes on without it. */
export function crashed({ engine }: Site, moment: Moment): Moment {
  const orphans = moment.attempts.flatMap(({ kind, step, calling }) => (calling ? [{ kind, step, letter: calling }] : []))
  const wire = orphans.length > 0 ? sorted([...moment.wire, ...orphans]) : moment.wire
  return { ...moment, state: engine.resumed(moment.state), attempts: [], wire, life: moment.life + 1 }
}
