import { FRAME_HEAD_BYTES, FrameError, KIND, type Kind } from './framed-wire.ts'

/** Takes the bytes of a connection as they come. */
export interface FrameReader {
  /**
   * Gives each frame that is complete to `onFrame`, in order. Keeps no more than one frame's bytes.
   *
   * @throws {FrameError} for a length or a kind that cannot be, and whatever `onFrame` throws; nothing more can be read then
   */
  push(chunk: Buffer): void
}

/** `content` is only valid during the call: it stands in a buffer that is used again. */
export type OnFrame = (kind: Kind, call: number, content: Buffer) => void

const LENGTH_BYTES = 4
const LEAST = FRAME_HEAD_BYTES - LENGTH_BYTES
const LAST_KIND = Math.max(...Object.values(KIND))

/** Creates a reader that takes frames of at most `maxFrameBytes`, all their bytes counted. */
export function frameReader(maxFrameBytes: number, onFrame: OnFrame): FrameReader {
  // What has come of a frame that is not complete: in pieces, so that a large one is put together once.
  let pieces: Buffer[] = []
  let kept = 0
  let wanted = LENGTH_BYTES

  /** The bytes of the frame at `at`, all counted. */
  function sizeAt(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at)
    if (length < LEAST) throw new FrameError(`a frame says it is ${length} bytes long, wanted at least ${LEAST}`)
    const size = length + LENGTH_BYTES
    if (size > maxFrameBytes) throw new FrameError(`a frame says it is ${size} bytes long, wanted at most ${maxFrameBytes}`)
    return size
  }

  /** Reads whole frames; gives back where the rest begins, and notes how much of it is wanted. */
  function readAll(bytes: Buffer): number {
    let at = 0
    for (;;) {
      wanted = LENGTH_BYTES
      if (bytes.length - at < LENGTH_BYTES) return at
      wanted = sizeAt(bytes, at)
      if (bytes.length - at < wanted) return at
      const kind = bytes[at + LENGTH_BYTES] ?? 0
      if (kind < 1 || kind > LAST_KIND) throw new FrameError(`a frame is of kind ${kind}, wanted 1 to ${LAST_KIND}`)
      // Checked in the line above.
      onFrame(kind as Kind, bytes.readUInt32BE(at + 5), bytes.subarray(at + FRAME_HEAD_BYTES, at + wanted))
      at += wanted
    }
  }

  return {
    push(chunk) {
      if (kept > 0) {
        pieces.push(chunk)
        kept += chunk.length
        if (kept < wanted) return
      }
      const bytes = kept > 0 ? Buffer.concat(pieces, kept) : chunk
      const rest = readAll(bytes)
      kept = bytes.length - rest
      pieces = kept > 0 ? [bytes.subarray(rest)] : []
    },
  }
}
