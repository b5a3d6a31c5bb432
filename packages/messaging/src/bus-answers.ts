/**
 * What the bus has said of late to all that a relay has handed it. One event's failure says nothing as long as the bus may have been away:
 * it counts only between a yes to another before it and a yes to another after it.
 */
export interface BusAnswers {
  /** The bus has taken something. */
  yes(): void
  /** It has not, without saying that the event is to blame. */
  no(): void
  /** Before an event is handed over whose failure is to be judged. */
  watch(): Watched
}

/** One event at the bus. */
export interface Watched {
  /** It has failed now. What comes back says, later, whether the bus was there all the while: `false` also while nobody can know. */
  failed(): () => boolean
}

/** Creates {@link BusAnswers} of a bus that nothing is known of. */
export function busAnswers(): BusAnswers {
  let lastWasYes = false
  let noes = 0
  let next: { wasYes: boolean | undefined } = { wasYes: undefined }

  function say(wasYes: boolean): void {
    next.wasYes = wasYes
    next = { wasYes: undefined }
    lastWasYes = wasYes
    if (!wasYes) noes += 1
  }

  return {
    yes: () => say(true),
    no: () => say(false),
    watch() {
      const before = { wasYes: lastWasYes, noes }
      return {
        failed() {
          const wasThere = before.wasYes && before.noes === noes
          const after = next
          return () => wasThere && after.wasYes === true
        },
      }
    },
  }
}
