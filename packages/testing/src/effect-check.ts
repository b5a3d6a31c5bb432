/** One of a row of things that belong to a key: the `n`th, counted from 1. */
export interface Numbered {
  readonly key: string
  readonly n: number
}

/** What is wrong with effects, compared with what was sent. All empty: nothing. */
export interface EffectFaults {
  /** Sent, and no effect. */
  readonly lost: readonly Numbered[]
  /** More than one effect. */
  readonly twice: readonly Numbered[]
  /** Its effect came before that of an earlier one of its key. */
  readonly inverted: readonly Numbered[]
  /** An effect of what was never sent. */
  readonly invented: readonly Numbered[]
}

/** Compares effects, in the order they happened, with what was sent. */
export function checkEffects(sent: readonly Numbered[], effects: readonly Numbered[]): EffectFaults {
  const nameOf = ({ key, n }: Numbered) => `${n} ${key}`
  const wanted = new Set(sent.map(nameOf))
  const seen = new Set<string>()
  const highest = new Map<string, number>()
  const twice: Numbered[] = []
  const inverted: Numbered[] = []
  const invented: Numbered[] = []
  for (const effect of effects) {
    if (!wanted.has(nameOf(effect))) {
      // It has no place among those that were sent.
      invented.push(effect)
      continue
    }
    if (seen.has(nameOf(effect))) twice.push(effect)
    else if (effect.n < (highest.get(effect.key) ?? 0)) inverted.push(effect)
    seen.add(nameOf(effect))
    highest.set(effect.key, Math.max(effect.n, highest.get(effect.key) ?? 0))
  }
  return { lost: sent.filter((one) => !seen.has(nameOf(one))), twice, inverted, invented }
}

/** The number of all faults. */
export function countFaults({ lost, twice, inverted, invented }: EffectFaults): number {
  return lost.length + twice.length + inverted.length + invented.length
}
