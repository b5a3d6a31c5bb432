import type { Run } from './call.ts'
import type { End } from './end.ts'
import { asResilienceError, type RejectedBy, rejectedBy } from './errors.ts'

/** Why a policy ended a call. */
export interface Rejected {
  readonly rejectedBy: RejectedBy
  readonly policy: string
  readonly retryAfterMs?: number
}

/** How a call ended, as a value. `attempts`: how often the function was called. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T; readonly attempts: number }
  | { readonly ok: false; readonly error: unknown; readonly rejected?: Rejected; readonly attempts: number }

/** Gives the end to the caller as a value. */
export class Told implements End {
  readonly #name: string
  readonly #run: Run
  readonly #resolve: (outcome: Outcome<unknown>) => void

  constructor(name: string, run: Run, resolve: (outcome: Outcome<unknown>) => void) {
    this.#name = name
    this.#run = run
    this.#resolve = resolve
  }

  ok(value: unknown): void {
    this.#resolve({ ok: true, value, attempts: this.#run.attempts })
  }

  bad(error: unknown): void {
    const rejected = rejectionOf(this.#name, error, this.#run)
    const { attempts } = this.#run
    this.#resolve(rejected === undefined ? { ok: false, error, attempts } : { ok: false, error, attempts, rejected })
  }
}

/** Why the policy `name` ended the call, if it was a policy that did. */
export function rejectionOf(name: string, error: unknown, run: Run): Rejected | undefined {
  const own = asResilienceError(error)
  if (own) {
    const { code, policy: by, retryAfterMs } = own
    return retryAfterMs === undefined
      ? { rejectedBy: rejectedBy[code], policy: by }
      : { rejectedBy: rejectedBy[code], policy: by, retryAfterMs }
  }
  return run.cancel?.aborted && error === run.cancel.reason ? { rejectedBy: 'cancelled', policy: name } : undefined
}
