import type { OnReadOpts } from 'node:net'

/** Takes what has come on a socket; the bytes are only good during the call. */
export type TakeBytes = (bytes: Buffer) => void

/** How a socket is read: see {@link sharedReading}. */
export interface SharedReading {
  /** For `net.connect`. */
  readonly onread: OnReadOpts
  /** Who takes what comes. Nothing is read before it is set. */
  take: TakeBytes | undefined
}

const SIZE = 65_536
/** One for all sockets of the process: what comes is taken at once, or copied. */
const shared = Buffer.allocUnsafeSlow(SIZE)

/**
 * Has a socket read into one buffer that all share. Else each read has 64 KiB allocated and given back, which for small answers costs more
 * than all the rest of taking them in. The socket then emits no `data`, so it is of no use to whoever wants a stream.
 */
export function sharedReading(): SharedReading {
  const reading: SharedReading = {
    onread: {
      buffer: shared,
      callback(length) {
        reading.take?.(shared.subarray(0, length))
        return true
      },
    },
    take: undefined,
  }
  return reading
}
