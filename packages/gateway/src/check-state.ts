/** Whether an instance is well, by the answers to checks. */
export interface CheckState {
  readonly isWell: boolean
  /** How many answers in a row say the opposite. */
  readonly against: number
}

/** How many answers in a row change it. */
export interface CheckLimits {
  readonly failures: number
  readonly successes: number
}

/** Well until it is known better: whoever registered it thought so. */
export const atFirst: CheckState = { isWell: true, against: 0 }

/** What one more answer makes of it. */
export function afterCheck({ isWell, against }: CheckState, isGood: boolean, { failures, successes }: CheckLimits): CheckState {
  if (isGood === isWell) return { isWell, against: 0 }
  const enough = isWell ? failures : successes
  return against + 1 >= enough ? { isWell: !isWell, against: 0 } : { isWell, against: against + 1 }
}
