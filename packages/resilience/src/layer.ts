import type { World } from '@banyan/core'
import type { Scope } from './call.ts'
import type { End } from './end.ts'

/**
 * The rest of a policy, seen from one of its layers: makes the call and tells `end` once how it ended, maybe before it returns. Never
 * throws. Not a promise: a call through many layers has one promise, the caller's.
 */
export type Next = (scope: Scope, end: End) => void

/** What a layer is and how far it stretches a call; `explain()` judges a policy by these. */
export type LayerFacts =
  | { readonly kind: 'timeout'; readonly timeoutMs: number }
  | { readonly kind: 'retry'; readonly attempts: number; readonly waitsMs: number }
  | { readonly kind: 'circuit-breaker'; readonly text: string; readonly waitMs: number }
  | { readonly kind: 'bulkhead'; readonly limit: number; readonly queue: number; readonly maxWaitMs: number }
  | { readonly kind: 'rate-limit'; readonly text: string; readonly maxWaitMs: number }
  /** `afterMs`: `undefined` when it is found out while calls are made. */
  | { readonly kind: 'hedge'; readonly extra: number; readonly afterMs: number | undefined; readonly text: string }
  | { readonly kind: 'adaptive-limit'; readonly text: string }
  | { readonly kind: 'fallback' }

/** A figure of a layer that rises and falls, for metrics: `{ name: 'active', value: 3 }`. */
export interface Gauge {
  readonly name: string
  readonly value: number
  /** Set where the figure says which of several holds: `state: 'open'`. */
  readonly state?: string
}

/** Two functions to hand to `promise.then`. */
export interface Watch {
  readonly ok: (value: unknown) => unknown
  readonly bad: (error: unknown) => never
}

/**
 * What stands in for `around` while nothing has to be remembered for a single call: two functions that watch its promise. `undefined` while
 * something has. Looked at anew by each call; an object of its own, as small as can be, since that is all such a call looks at.
 */
export interface Watcher {
  readonly watch: Watch | undefined
}

/**
 * One ring of a policy.
 *
 * @typeParam Alt what the layer may answer in place of the function's own value
 */
export interface Layer<Alt = never> {
  /** Read anew by each `explain()`: reconfiguring may change them. */
  readonly facts: LayerFacts
  /** The clock it runs on; all layers of a policy share one. Left out: it needs none. */
  readonly world?: World
  /** Puts the layer around the rest of the policy named `policy`. */
  around(policy: string, next: Next): Next
  /** For a policy that has no other layer: see {@link Watcher}. */
  readonly watcher?: Watcher
  /** Its figures of the moment. */
  gauges?(): readonly Gauge[]
  /** Its state, for `policy.snapshot()`: plain data that goes through JSON. */
  snapshot?(): unknown
  /** @throws {TypeError} for what is no snapshot of such a layer */
  restore?(snapshot: unknown): void
  /** Never set: it carries the type. */
  readonly alt?: Alt
}
