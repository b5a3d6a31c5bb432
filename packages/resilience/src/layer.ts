import type { World } from '@banyan/core'
import type { Scope } from './call.ts'

/** The rest of a policy, seen from one of its layers. Never throws; rejects. */
export type Next = (scope: Scope) => Promise<unknown>

/** What a layer is and how far it stretches a call; `explain()` judges a policy by these. */
export type LayerFacts =
  | { readonly kind: 'timeout'; readonly timeoutMs: number }
  | { readonly kind: 'retry'; readonly attempts: number; readonly waitsMs: number }
  | { readonly kind: 'circuit-breaker'; readonly text: string }
  | { readonly kind: 'bulkhead'; readonly limit: number; readonly queue: number; readonly maxWaitMs: number }
  | { readonly kind: 'fallback' }

/**
 * One ring of a policy.
 *
 * @typeParam Alt what the layer may answer in place of the function's own value
 */
export interface Layer<Alt = never> {
  readonly facts: LayerFacts
  /** The clock it runs on; all layers of a policy share one. Left out: it needs none. */
  readonly world?: World
  /** Puts the layer around the rest of the policy named `policy`. */
  around(policy: string, next: Next): Next
  /** Never set: it carries the type. */
  readonly alt?: Alt
}
