/** How many answers are remembered before all are forgotten: they are small, and the same ones come up close together. */
const MOST = 20_000

/**
 * Remembers what an async function gave for a key. Equal steps of equal moments are run once: they depend on nothing but what they
 * are given, or exploring them makes no sense.
 */
export function memo<T>(): (key: string, make: () => Promise<T>) => Promise<T> {
  const known = new Map<string, Promise<T>>()
  return (key, make) => {
    const before = known.get(key)
    if (before) return before
    if (known.size >= MOST) known.clear()
    const made = make()
    known.set(key, made)
    return made
  }
}
