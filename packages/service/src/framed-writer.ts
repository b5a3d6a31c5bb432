import type { Socket } from 'node:net'
import { FRAME_HEAD_BYTES, type Kind } from './framed-wire.ts'

/** Writes frames to a socket: those of one turn of the event loop together, {@link FRAMES_A_WRITE} of them in one write. */
export interface FrameWriter {
  /** A frame with a text, for `hello` and `failed`; without, for the others. */
  frame(kind: Kind, call: number, text?: string): void
  /** `request` or `response`. */
  message(kind: Kind, call: number, head: string, body: string): void
  /** Sends what waits, now. */
  flush(): void
}

const BLOCK_BYTES = 64 * 1024

/**
 * So many frames go at once, without waiting for the end of the turn: the other side begins with them while this one goes on. With all
 * in one write both sides took turns, and one of two processors was always idle: 16 were a fifth faster, at the same cost of a call.
 */
const FRAMES_A_WRITE = 16

/** Creates a writer on `socket`. */
export function frameWriter(socket: Socket): FrameWriter {
  let block = Buffer.allocUnsafe(BLOCK_BYTES)
  let start = 0
  let end = 0
  /** Not yet sent. */
  let frames = 0
  let scheduled = false

  /** Makes room; what stands in a block that is full goes out, as the socket may still read from it. */
  function room(bytes: number): void {
    if (end + bytes <= block.length) return
    send()
    if (bytes > block.length - end) {
      block = Buffer.allocUnsafe(Math.max(BLOCK_BYTES, bytes))
      start = 0
      end = 0
    }
  }

  function send(): void {
    if (end > start && !socket.destroyed) socket.write(block.subarray(start, end))
    start = end
    frames = 0
  }

  function flush(): void {
    scheduled = false
    send()
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    // After all that this turn's promises do, and before the next turn's input.
    process.nextTick(flush)
  }

  function head(kind: Kind, call: number, at: number): void {
    block.writeUInt32BE(end - at - 4, at)
    block[at + 4] = kind
    block.writeUInt32BE(call, at + 5)
    frames += 1
    if (frames < FRAMES_A_WRITE) schedule()
    else send()
  }

  return {
    frame(kind, call, text = '') {
      room(FRAME_HEAD_BYTES + most(text))
      const at = end
      end += FRAME_HEAD_BYTES
      if (text !== '') end += block.write(text, end)
      head(kind, call, at)
    },
    message(kind, call, headText, body) {
      room(FRAME_HEAD_BYTES + 4 + most(headText) + most(body))
      const at = end
      const headBytes = block.write(headText, at + FRAME_HEAD_BYTES + 4)
      block.writeUInt32BE(headBytes, at + FRAME_HEAD_BYTES)
      end = at + FRAME_HEAD_BYTES + 4 + headBytes
      if (body !== '') end += block.write(body, end)
      head(kind, call, at)
    },
    flush,
  }
}

/** The bytes a text may take: exactly, where guessing would waste a lot. */
function most(text: string): number {
  return text.length < 8_192 ? text.length * 3 : Buffer.byteLength(text)
}

/** Bytes of a frame with this head and body, all counted. */
export function frameBytes(head: string, body: string): number {
  return FRAME_HEAD_BYTES + 4 + Buffer.byteLength(head) + Buffer.byteLength(body)
}
