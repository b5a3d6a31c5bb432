import { isRefusal } from '@banyan/core'
import type { BreakerMachine, Ticket } from './breaker-machine.ts'
import type { Verdict } from './breaker-state.ts'
import type { AbortListener, Cancellation } from './cancellation.ts'
import type { End } from './end.ts'
import { isShed, isTimeout, type Settled } from './failure.ts'
import type { Watch, Watcher } from './layer.ts'

export interface WatchedRules {
  readonly machine: BreakerMachine
  readonly judge: (settled: Settled) => Verdict
  readonly changed: () => void
}

/** Says once how a call ended: at its end, or at the moment it is aborted, whatever the function does then. */
export class Watched implements End, AbortListener {
  readonly #rules: WatchedRules
  readonly #ticket: Ticket
  readonly #cancel: Cancellation | undefined
  readonly #end: End
  #open = true

  constructor(rules: WatchedRules, ticket: Ticket, cancel: Cancellation | undefined, end: End) {
    this.#rules = rules
    this.#ticket = ticket
    this.#cancel = cancel
    this.#end = end
    cancel?.listen(this)
  }

  ok(value: unknown): void {
    if (this.#ended({ ok: true, value })) this.#end.ok(value)
  }

  bad(error: unknown): void {
    if (this.#ended({ ok: false, error })) this.#end.bad(error)
  }

  onAbort(reason: unknown): void {
    this.#once(isTimeout(reason) ? 'failure' : 'nothing')
  }

  #once(verdict: Verdict): void {
    if (!this.#open) return
    this.#open = false
    this.#rules.machine.settle(this.#ticket, verdict)
    this.#rules.changed()
  }

  /** False when the end has been told already, of another error. */
  #ended(settled: Settled): boolean {
    this.#cancel?.unlisten(this)
    if (!this.#open) return true
    try {
      this.#once(this.#rules.judge(settled))
      return true
    } catch (error) {
      // The user's own isFailure threw: that is the caller's to see, but the breaker must not wait for this call.
      this.#once('failure')
      this.#end.bad(error)
      return false
    }
  }
}

export interface WatchOptions {
  /** Who the functions are bound for. */
  readonly watcher: Watcher
  /** After a failure was told. */
  readonly changed: () => void
  /** Whether an isFailure of the user's is to see values too. */
  readonly asksValues: boolean
}

/**
 * Gives two functions for `promise.then`, bound once for an epoch: while a breaker is calm, an outcome needs nothing of its own call,
 * and a success changes nothing.
 */
export function bindWatch(machine: BreakerMachine, judge: (settled: Settled) => Verdict, options: WatchOptions) {
  const { watcher, changed, asksValues } = options
  let bound: { readonly epoch: number; readonly watch: Watch } | undefined

  function bind(epoch: number): Watch {
    function settle(settled: Settled): void {
      let verdict: Verdict = 'failure'
      try {
        verdict = judge(settled)
      } finally {
        machine.settleCalm(epoch, verdict)
        changed()
      }
    }
    const watch: Watch = {
      ok(value) {
        if (asksValues || watcher.watch !== watch) settle({ ok: true, value })
        return value
      },
      bad(error) {
        settle({ ok: false, error })
        throw error
      },
    }
    return watch
  }

  return (epoch: number | undefined): Watch | undefined => {
    if (epoch === undefined) return undefined
    if (bound?.epoch !== epoch) bound = { epoch, watch: bind(epoch) }
    return bound.watch
  }
}

/** What an end says of the dependency, by the user's own rule or ours. */
export function verdictOf(settled: Settled, fails: (settled: Settled) => boolean): Verdict {
  if (isRefusal(settled.ok ? settled.value : settled.error)) return 'success'
  if (!settled.ok && isShed(settled.error)) return 'nothing'
  return fails(settled) ? 'failure' : 'success'
}
