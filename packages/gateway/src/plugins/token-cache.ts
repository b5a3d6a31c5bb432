/** What is known of tokens that were accepted, by the tokens themselves. */
export interface TokenCache<T> {
  get(token: string): T | undefined
  set(token: string, known: T): void
  clear(): void
}

export interface TokenCacheOptions {
  /** About so many tokens are kept, from 2. The ones used longest ago go first. */
  readonly maxTokens: number
  /** Longer ones are not kept, characters. */
  readonly maxLength: number
}

/**
 * Creates a {@link TokenCache} in two halves: when the young one is full it becomes the old one, and what was not asked for since goes.
 * That is an LRU but for its order within a half, for two lookups and no list.
 */
export function tokenCache<T>({ maxTokens, maxLength }: TokenCacheOptions): TokenCache<T> {
  const half = Math.max(1, Math.floor(maxTokens / 2))
  let young = new Map<string, T>()
  let old = new Map<string, T>()

  function set(token: string, known: T): void {
    if (token.length > maxLength) return
    if (young.size >= half) {
      old = young
      young = new Map()
    }
    young.set(token, known)
  }

  return {
    get(token) {
      const found = young.get(token)
      if (found !== undefined) return found
      const older = old.get(token)
      if (older !== undefined) set(token, older)
      return older
    },
    set,
    clear() {
      young = new Map()
      old = new Map()
    },
  }
}
