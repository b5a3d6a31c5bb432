import type { PartitionOptions } from './partition-options.ts'
import { outboxLogPort, outboxPort } from './ports.ts'
import { shiftOf } from './relay-shift.ts'
import { pause, waker } from './waker.ts'

/** Moves one partition of an outbox to the bus. */
export interface PartitionMover {
  start(): void
  /** Waits for what is with the bus, marks what is settled, and gives the lease back. */
  stop(): Promise<void>
  /** Why nothing moves, while nothing does. */
  trouble(): unknown
}

/** The pause after the first failure in a row, and the longest one. */
const BACKOFF = { baseMs: 100, capMs: 5_000 }

/** Creates a {@link PartitionMover}. An idle one writes nothing: the lease is taken when there is something to move. */
export function partitionMover(options: PartitionOptions): PartitionMover {
  const { database, world, log, service, partition, minPollMs, maxPollMs } = options
  const { gatherMs } = database.store(outboxLogPort)
  const wakeUp = waker(world)
  const abort = new AbortController()
  const shift = shiftOf(options)
  let failures = 0
  let trouble: unknown
  let idleMs = minPollMs
  let done = 0
  let running: Promise<void> = Promise.resolve()
  let forget = () => {}

  /**
   * Says whether the partition got anywhere, by this relay or by another. That the lease comes or goes is not enough: relays that fail
   * alike hand it to each other.
   */
  async function round(): Promise<boolean> {
    const step = await shift.step(failures, abort.signal)
    if (step.kind === 'moved') {
      idleMs = minPollMs
      if (!step.more && gatherMs > 0) await pause(world, gatherMs, abort.signal)
    }
    // Another may have moved on between the reading and the claim, so what was read is read again.
    if (step.kind === 'busy') await pause(world, Math.min(maxPollMs, step.waitMs), abort.signal)
    if (step.kind === 'empty') {
      // What woke it may have to wait for a slower writer, and nobody wakes it again then: it looks again soon.
      idleMs = (await wakeUp.sleep(idleMs)) ? minPollMs : Math.min(maxPollMs, idleMs * 2)
    }
    if (step.kind === 'empty') return true
    const before = done
    done = step.done
    return step.kind === 'moved' || done > before
  }

  async function loop(): Promise<void> {
    while (!abort.signal.aborted) {
      try {
        if (await round()) {
          failures = 0
          trouble = undefined
        }
      } catch (error) {
        failures += 1
        trouble = error
        const fields = { error, service, partition, failures }
        if (failures === 1) log.warn(fields, 'the relay cannot move events; it keeps trying')
        else log.debug(fields, 'the relay still cannot move events')
        await pause(world, Math.round(world.random() * Math.min(BACKOFF.capMs, BACKOFF.baseMs * 2 ** failures)), abort.signal)
      }
    }
    await shift.end()
  }

  return {
    start() {
      forget = database.store(outboxPort).onAppend((partitions) => {
        if (partitions?.has(partition) ?? true) wakeUp.wake()
      })
      running = loop()
    },
    async stop() {
      abort.abort()
      forget()
      wakeUp.wake()
      await running
    },
    trouble: () => trouble,
  }
}
