import type { World } from '@banyan/core'
import type { BreakerMachine, Ticket } from './breaker-machine.ts'
import type { Scope } from './call.ts'
import { type Deadline, deadlinesOf } from './deadlines.ts'
import type { End } from './end.ts'
import type { ResilienceError } from './errors.ts'
import { type ListNode, linkedList } from './linked-list.ts'
import { Waiting } from './waiting.ts'

/** The calls that wait for a half-open breaker's probes to decide. */
export interface ProbeQueue {
  /**
   * Lets a call wait; false when it may not. In the end it goes on with a ticket, or is refused with `openError`.
   */
  wait(scope: Scope, end: End, go: (ticket: Ticket) => void, openError: (asValue: boolean) => ResilienceError): boolean
  /** Something has changed: lets those go on or refuses them whose turn it is. */
  wake(): void
}

interface Waiter {
  readonly waiting: Waiting
  readonly go: (ticket: Ticket) => void
  readonly refuse: () => void
}

/**
 * Creates the queue of a breaker. Nobody waits behind a hung probe: while there are some who wait, a deadline stands at the time when
 * the oldest probe counts as failed.
 */
export function probeQueue(machine: BreakerMachine, world: World): ProbeQueue {
  const waiters = linkedList<Waiter>()
  let alarm: Deadline | undefined
  let isWaking = false
  const deadlines = deadlinesOf(world)

  function wake(): void {
    // A call that is done at once comes back here: it is to be told of before the next one goes on.
    if (isWaking) return
    isWaking = true
    while (waiters.first && wakeFirst(waiters.first.value));
    isWaking = false
    if (waiters.size > 0) arm()
    else disarm()
  }

  /** False when it has to wait on. */
  function wakeFirst({ go, refuse }: Waiter): boolean {
    const ticket = machine.admit()
    if (ticket) go(ticket)
    else if (machine.state().kind === 'half-open') return false
    else refuse()
    return true
  }

  function arm(): void {
    disarm()
    const overdueAfterMs = machine.overdueAfterMs() ?? 0
    alarm = { at: world.monotonic() + overdueAfterMs, place: -1, expire: wake }
    deadlines.add(alarm)
  }

  function disarm(): void {
    if (alarm) deadlines.remove(alarm)
    alarm = undefined
  }

  function leave(node: ListNode<Waiter>): void {
    waiters.remove(node)
    if (waiters.size === 0) disarm()
  }

  return {
    wait(scope, end, go, openError) {
      if (waiters.size >= machine.limits().maxWaiting || machine.state(scope.startedAt).kind !== 'half-open') return false
      let ticket: Ticket | undefined
      const waiting = new Waiting(scope, end, {
        go: () => ticket && go(ticket),
        late: () => end.bad(openError(scope.run.asValue)),
        leave: () => leave(node),
      })
      const node = waiters.append({
        waiting,
        go(given) {
          ticket = given
          waiting.go()
        },
        refuse: () => waiting.refuse(openError(scope.run.asValue)),
      })
      if (!alarm) arm()
      // The alarm is the oldest probe's: should its caller leave, the next probe has its whole time, and who waits has not.
      waiting.begin(machine.limits().probeMaxWaitMs)
      return true
    },
    wake: () => {
      if (waiters.size > 0) wake()
    },
  }
}
