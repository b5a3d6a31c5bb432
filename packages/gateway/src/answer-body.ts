import { Readable } from 'node:stream'
import type { World } from '@banyan/core'
import { GatewayError } from './errors.ts'
import { idleTimer } from './idle-timer.ts'

/** The body of an answer that is still coming, and the side that it comes from. */
export interface AnswerBody {
  readonly stream: Readable
  /** @returns false: enough for now, until `onWanted` */
  push(data: Buffer): boolean
  end(): void
  fail(reason: Error): void
}

export interface AnswerBodyOptions {
  readonly world: World
  /** The longest pause while the reader waits, milliseconds. */
  readonly idleTimeoutMs: number
  /** More is wanted. */
  readonly onWanted: () => void
  /** It will not be read to its end, for this reason. Not after `end`. */
  readonly onDropped: (reason: Error) => void
}

/** Creates an {@link AnswerBody}. It fails when nothing comes for too long while it is wanted. */
export function answerBody({ world, idleTimeoutMs, onWanted, onDropped }: AnswerBodyOptions): AnswerBody {
  let hasEnded = false
  const idle = idleTimer(world, idleTimeoutMs, () => {
    // A reader that takes nothing is no fault of the upstream's.
    if (stream.readableLength >= stream.readableHighWaterMark) return idle.touch()
    stream.destroy(new GatewayError('ERR_UPSTREAM_FAILED', `nothing of the answer's body came for ${idleTimeoutMs} ms`))
  })
  const stream = new Readable({
    read() {
      idle.touch()
      onWanted()
    },
    destroy(error, done) {
      idle.stop()
      if (!hasEnded) onDropped(error ?? new Error('the answer is not wanted any more'))
      done(error)
    },
  })
  // Whoever reads it hears of a failure by its own listener; when nobody does, a failure must not end the process.
  stream.on('error', () => undefined)
  return {
    stream,
    push(data) {
      idle.touch()
      return stream.push(data)
    },
    end() {
      hasEnded = true
      idle.stop()
      stream.push(null)
    },
    fail(reason) {
      hasEnded = true
      stream.destroy(reason)
    },
  }
}
