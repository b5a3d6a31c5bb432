import { Readable } from 'node:stream'
import type { World } from '@banyan/core'
import { GatewayError } from './errors.ts'
import type { HeaderList } from './headers.ts'
import { requestTrailers } from './request-trailers.ts'

/** The body of a request, which several tries may send. */
export interface RequestBody {
  /** Bytes, as the client announced them; 0 without a body, `undefined` for one of unknown length. */
  readonly length: number | undefined
  /** Whether all that was taken from the client so far can be sent again. */
  readonly isReplayable: boolean
  /** All of it has come from the client. */
  readonly isComplete: boolean
  /** When the last bytes came, in `world.monotonic()` time. `-Infinity`: none are to come. */
  readonly progressAt: number
  /** A try has taken all that has come, and waits for more. */
  readonly isAwaited: boolean
  /**
   * The body for one try, from its start; the stream of an earlier try is destroyed. Rejects, or the stream fails,
   * with a `GatewayError`: `ERR_BODY_TOO_LARGE`, `ERR_BODY_CUT`.
   */
  open(): Promise<Uint8Array | Readable | undefined>
  /** The fields behind it that may go on, once all of it has come. Left out: there can be none. */
  readonly trailers?: (() => HeaderList) | undefined
}

/** A body that comes from a client. */
export interface ClientBody extends RequestBody {
  /** Takes the rest from the client and drops it, as the answer is there. */
  discard(): void
}

/** A body that is at hand as a whole, for as many who send it as there are. */
export function heldBody(bytes: Awaited<ReturnType<RequestBody['open']>>): RequestBody {
  if (!(bytes instanceof Uint8Array)) throw new TypeError('cannot hold a body that still comes')
  return { ...noBody, length: bytes.length, open: async () => bytes }
}

export interface ClientBodyOptions {
  /** What the client announced; `undefined` for chunks. */
  readonly length: number | undefined
  readonly maxBytes: number
  /** What came behind it, as the client sent it; asked for when all of it has come. */
  readonly trailers: () => HeaderList
  readonly world: World
  /** Called once, when the first byte is wanted: the moment to answer `Expect: 100-continue`. */
  readonly onWanted: () => void
}

/** So much of a body is kept to send it again. More is sent as it comes, once. */
export const replayBytes = 65_536

/** Of a request without a body: nothing of it ever comes, so all times count from elsewhere. */
export const noBody: ClientBody = {
  length: 0,
  isReplayable: true,
  isComplete: true,
  progressAt: Number.NEGATIVE_INFINITY,
  isAwaited: false,
  open: () => Promise.resolve(undefined),
  discard() {},
}

/**
 * The body that a client is sending. A short one of known length is taken whole before it is sent on, so that a slow client does
 * not hold up a service; others are streamed, no faster than they are taken.
 */
export function clientBody(source: Readable, options: ClientBodyOptions): ClientBody {
  const { length, maxBytes, world, onWanted } = options
  const kept: Buffer[] = []
  let keptBytes = 0
  let takenBytes = 0
  let ended = false
  let failure: GatewayError | undefined
  let progressAt = world.monotonic()
  let wanted = false
  /** The try that is being fed; told when something may be there. */
  let reader: (() => void) | undefined
  let current: Readable | undefined

  source.on('readable', () => reader?.())
  source.on('end', () => {
    ended = true
    reader?.()
  })
  const onCut = () => {
    if (!ended) failure ??= new GatewayError('ERR_BODY_CUT', 'the client stopped within the body of its request', { status: 400 })
    reader?.()
  }
  source.on('error', onCut).on('close', onCut)

  /** The next bytes from the client, or null when none are there now. */
  function take(): Buffer | null {
    const chunk: Buffer | null = failure || ended ? null : source.read()
    if (chunk === null) return null
    progressAt = world.monotonic()
    takenBytes += chunk.length
    if (takenBytes > maxBytes) {
      failure = bodyTooLarge(maxBytes)
      return null
    }
    if (takenBytes <= replayBytes) {
      kept.push(chunk)
      keptBytes += chunk.length
    }
    return chunk
  }

  function want(): void {
    if (wanted) return
    wanted = true
    onWanted()
  }

  return {
    length,
    get isReplayable() {
      return !failure && keptBytes === takenBytes
    },
    get isComplete() {
      return ended
    },
    get progressAt() {
      return progressAt
    },
    get isAwaited() {
      return current !== undefined && !ended && !current.isPaused() && current.readableLength + source.readableLength === 0
    },
    trailers: () => requestTrailers(options.trailers()),
    discard() {
      current?.destroy()
      reader = () => {
        while (source.read() !== null);
      }
      reader()
    },
    open() {
      want()
      current?.destroy()
      const attach: Feed['attach'] = (next) => {
        reader = next
      }
      current = feedStream({ take, replay: [...kept], isEnded: () => ended, failure: () => failure, attach })
      return length !== undefined && length <= replayBytes ? whole(current) : Promise.resolve(current)
    },
  }
}

/** The problem of a body that is larger than the route takes. */
export function bodyTooLarge(maxBytes: number): GatewayError {
  return new GatewayError('ERR_BODY_TOO_LARGE', `the body of the request is larger than ${maxBytes} bytes`, { status: 413 })
}

interface Feed {
  readonly take: () => Buffer | null
  readonly replay: Buffer[]
  readonly isEnded: () => boolean
  readonly failure: () => GatewayError | undefined
  readonly attach: (reader: (() => void) | undefined) => void
}

/** One try's view of the body: what earlier tries took, then what comes. Destroying it leaves the client's stream alone. */
function feedStream({ take, replay, isEnded, failure, attach }: Feed): Readable {
  let hungry = false
  function feed(): void {
    while (hungry) {
      const chunk = replay.shift() ?? take()
      const failed = failure()
      if (failed) {
        hungry = false
        stream.destroy(failed)
      } else if (chunk) {
        hungry = stream.push(chunk)
      } else {
        if (isEnded()) {
          hungry = false
          stream.push(null)
        }
        return
      }
    }
  }
  const stream = new Readable({
    read() {
      hungry = true
      feed()
    },
    destroy(error, done) {
      attach(undefined)
      done(error)
    },
  })
  // Whoever reads it hears of a failure by its own listener; when nobody reads it any more, a failure must not end the process.
  stream.on('error', () => undefined)
  attach(feed)
  return stream
}

async function whole(stream: Readable): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  // A Readable's chunks are typed any; feedStream pushes Buffers only.
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
