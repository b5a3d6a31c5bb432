import type { Moment, StepAction } from './explore-moment.ts'
import type { Handled, Letter } from './explore-operation.ts'
import type { Answer } from './explore-run.ts'

/** `stock.reserve({"orderId":"o1"})` */
export function operationText({ service, operation, request }: Letter): string {
  return `${service}.${operation}(${shortened(request ?? '')})`
}

/** What a service answers, in words. */
export function answerText({ answer, steps }: Handled): string {
  return answer === undefined ? `${ordinal(steps.length)} step done, more to come` : outcomeText(answer)
}

/** An answer, in words. */
export function outcomeText(answer: Answer): string {
  if ('error' in answer) return `error ${answer.error.code ?? answer.error.name}: ${answer.error.message}`
  const refused = answer.value === undefined ? undefined : (JSON.parse(answer.value) as { refused?: unknown; detail?: unknown } | null)
  if (typeof refused === 'object' && typeof refused?.refused === 'string') return `refused, "${refused.refused}"`
  return answer.value === undefined ? 'done' : shortened(answer.value)
}

/** `worker 2 does "stock"` */
export function actorText({ life }: Moment, { kind, step }: StepAction): string {
  return `worker ${life} ${kind === 'do' ? 'does' : 'undoes'} "${step}"`
}

/** `undo-money` */
export function actionId({ kind, step }: StepAction): string {
  return kind === 'undo' ? `undo-${step}` : step
}

/** `8th`, `22nd` */
export function numeral(count: number): string {
  const endings = { one: 'st', two: 'nd', few: 'rd', other: 'th', zero: 'th', many: 'th' }
  return `${count}${endings[ORDINALS.select(count)]}`
}

const ORDINALS = new Intl.PluralRules('en', { type: 'ordinal' })

function ordinal(count: number): string {
  return ['no', 'first', 'second', 'third'][count] ?? `${count}th`
}

function shortened(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}
