import type { Instance } from '@banyan/core'
import { type Balancer, type Endpoint, endpoint } from './balance.ts'
import { isAvoided } from './outliers.ts'

/** The endpoints of a service, and among them those in use. */
export interface EndpointPool {
  /** Takes over a new list; what is known of instances that stay is kept. */
  take(instances: readonly Instance[], now: number): void
  /** To be called when an endpoint's standing changed. */
  refresh(now: number): void
  /** Whether one more may be avoided while at most `maxShare` of all are. */
  mayAvoid(maxShare: number, now: number): boolean
  /** The next to call, one not in `exclude` if there is another. */
  choose(exclude: ReadonlySet<string> | undefined, now: number): Endpoint | undefined
}

/** How often an excluded endpoint may be drawn before looking through all. */
const draws = 8

/** The endpoints of a service: all of them, and those in use, which the balancer chooses from. */
export function endpointPool(balancer: Balancer): EndpointPool {
  const known = new Map<string, Endpoint>()
  let used: readonly Endpoint[] = []
  /** When the next avoided endpoint comes back. */
  let returnsAt = Number.POSITIVE_INFINITY

  function refresh(now: number): void {
    used = [...known.values()].filter(({ standing }) => !isAvoided(standing, now))
    returnsAt = Number.POSITIVE_INFINITY
    for (const { standing } of known.values()) if (isAvoided(standing, now)) returnsAt = Math.min(returnsAt, standing.until)
    // Instances may have left since: rather an avoided one than none.
    if (used.length === 0) used = [...known.values()]
    balancer.reset(used)
  }

  return {
    refresh,
    take(instances, now) {
      const ids = new Set(instances.map(({ id }) => id))
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
      for (const instance of instances) {
        const old = known.get(instance.id)
        if (old) Object.assign(old, { instance, weight: instance.weight ?? 1 })
        else known.set(instance.id, endpoint(instance))
      }
      refresh(now)
    },
    mayAvoid(maxShare, now) {
      let avoided = 0
      for (const { standing } of known.values()) if (isAvoided(standing, now)) avoided += 1
      return avoided + 1 <= known.size * maxShare
    },
    choose(exclude, now) {
      if (now >= returnsAt) refresh(now)
      const first = balancer.next(now)
      if (!first || !exclude?.has(first.instance.id)) return first
      for (let draw = 1; draw < draws; draw += 1) {
        const other = balancer.next(now)
        if (other && !exclude.has(other.instance.id)) return other
      }
      return used.find(({ instance }) => !exclude.has(instance.id)) ?? first
    },
  }
}
