import type { World } from '@banyan/core'

/** Whether something is away: so that it is said once, and not each time that somebody finds out. */
export interface Outage {
  /** It was found away; says whether that is news. */
  begins(): boolean
  /** It was found there; how long it had been away, milliseconds, or `undefined` when it had not. */
  over(): number | undefined
}

/** Creates an {@link Outage} of what is there. */
export function outage(world: World): Outage {
  let since: number | undefined
  return {
    begins() {
      const isNews = since === undefined
      since ??= world.monotonic()
      return isNews
    },
    over() {
      if (since === undefined) return undefined
      const lastedMs = Math.round(world.monotonic() - since)
      since = undefined
      return lastedMs
    },
  }
}
