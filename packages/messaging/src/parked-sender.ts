import type { Bus, Database, Logger, World } from '@banyan/core'
import type { BusAnswers, Watched } from './bus-answers.ts'
import { type KeyQueueWorker, keyQueueWorker } from './key-queue.ts'
import { instruments } from './metrics.ts'
import { envelopeOf } from './outbox-body.ts'
import type { RetrySchedule } from './parking.ts'
import type { ParkedMessage } from './ports.ts'
import { relayFailure } from './relay-failure.ts'

export interface ParkedSenderOptions {
  readonly database: Database
  readonly bus: Bus
  /** Told of what the bus takes, asked about what it does not. */
  readonly answers: BusAnswers
  readonly world: World
  readonly log: Logger
  readonly service: string
  readonly group: string
  readonly retry: RetrySchedule
  readonly pollMs: number
}

/** Of so many events it remembers how they failed. One that it forgets is tried once more. */
const REMEMBERED = 10_000

/** Hands parked events to the bus, in the order of their key, when they are due again. */
export function parkedSender({ bus, answers, service, ...options }: ParkedSenderOptions): KeyQueueWorker {
  const attributes = { 'banyan.service': service, 'banyan.group': options.group }
  const doubts = doubtsAbout()
  return keyQueueWorker({
    ...options,
    concurrency: 4,
    async run(message, finish) {
      const watched = answers.watch()
      try {
        // Read as from the outbox: a relay of an older program parks what this one writes there, unread.
        await bus.publish([envelopeOf(message.raw)])
      } catch (error) {
        doubts.failed(message, watched)
        throw error
      }
      answers.yes()
      doubts.over(message)
      // Taken out only now: a crash in between repeats the event, never loses it.
      await finish(async () => {})
    },
    failureOf: relayFailure,
    inDoubt: (message, { reason }) => (reason === 'failed' ? doubts.about(message) : 0),
    onRun(message, result) {
      // What it failed of before does not count once it is redriven.
      if (result === 'dead') doubts.over(message)
      const { relayed, retries, deadLetters } = instruments()
      const counter = { done: relayed, retry: retries, dead: deadLetters }[result]
      counter.add(1, attributes)
    },
  })
}

interface Doubts {
  /** The bus has not taken it. */
  failed(message: ParkedMessage, watched: Watched): void
  /** The bus has taken it, or it is a dead letter. */
  over(message: ParkedMessage): void
  /** How often in a row it may not have been to blame. */
  about(message: ParkedMessage): number
}

/**
 * One failure counts when the next one comes: by then the bus has answered others since, or has not. An event that is not to blame gets
 * through once the bus is back, and then nothing has counted.
 */
function doubtsAbout(): Doubts {
  const known = new Map<number, { readonly times: number; readonly wasThere: () => boolean }>()
  return {
    failed({ position }, watched) {
      const last = known.get(position)
      const times = last?.wasThere() ? 0 : (last?.times ?? 0) + 1
      // The oldest stand in front.
      known.delete(position)
      known.set(position, { times, wasThere: watched.failed() })
      for (const oldest of known.keys()) {
        if (known.size <= REMEMBERED) break
        known.delete(oldest)
      }
    },
    over: ({ position }) => void known.delete(position),
    // Unknown is one that the bus has taken: what failed after that was noting it.
    about: ({ position }) => known.get(position)?.times ?? 1,
  }
}
