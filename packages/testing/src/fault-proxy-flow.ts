import type { Socket } from 'node:net'
import type { World } from '@banyan/core'
import type { Faults } from './fault-proxy-faults.ts'

/** One direction of one connection: bytes go from one socket to the other, with the faults of the moment. */
export interface Flow {
  /** The faults have changed; what is on its way keeps its time. */
  changed(): void
  stop(): void
}

export interface FlowOptions {
  readonly from: Socket
  readonly to: Socket
  /** Read for every piece. `undefined`: none in this direction. */
  readonly faults: () => Faults | undefined
  readonly world: World
  readonly random: () => number
  /** The connection has had its bytes: `reset` cuts it, `close` ends it in order. */
  readonly onSpent: (how: 'reset' | 'close') => void
}

/** Bytes on their way; with more, no more are read, as a full network does. */
const MAX_QUEUED_BYTES = 256 * 1024
/** A slow line carries its bytes in so many pieces a second. */
const PIECES_A_SECOND = 20

interface Piece {
  readonly bytes: Buffer
  readonly dueAt: number
}

/** Starts a {@link Flow}. Pieces keep their order whatever their delays. */
export function flow({ from, to, faults, world, random, onSpent }: FlowOptions): Flow {
  const queue: Piece[] = []
  let queued = 0
  /** When the last piece is through, on the monotonic clock. */
  let lastDueAt = 0
  let passed = 0
  let ended = false
  let stopped = false
  let timer: { cancel(): void } | undefined

  function enqueue(bytes: Buffer): void {
    const { latencyMs = 0, jitterMs = 0, bytesPerSecond } = faults() ?? {}
    for (const piece of piecesOf(bytes, bytesPerSecond)) {
      const now = world.monotonic()
      const delayMs = jitterMs === 0 ? latencyMs : Math.max(0, latencyMs + (random() * 2 - 1) * jitterMs)
      const carryMs = bytesPerSecond === undefined ? 0 : (piece.length * 1_000) / bytesPerSecond
      lastDueAt = Math.max(now + delayMs, lastDueAt) + carryMs
      queue.push({ bytes: piece, dueAt: lastDueAt })
      queued += piece.length
    }
    if (queued >= MAX_QUEUED_BYTES) from.pause()
    move()
  }

  /** Passes on what is due, and waits for the next. */
  function move(): void {
    timer?.cancel()
    timer = undefined
    for (let head = queue[0]; head && !stopped; head = queue[0]) {
      const waitMs = head.dueAt - world.monotonic()
      if (waitMs > 0) {
        timer = world.after(waitMs, move)
        return
      }
      if (faults()?.blackHole) return
      queue.shift()
      queued -= head.bytes.length
      pass(head.bytes)
    }
    if (queued < MAX_QUEUED_BYTES && !faults()?.blackHole) from.resume()
    if (ended && queue.length === 0 && !stopped && !faults()?.halfOpen && !faults()?.blackHole) to.end()
  }

  function pass(bytes: Buffer): void {
    const { resetAfterBytes, closeAfterBytes } = faults() ?? {}
    const limit = Math.min(resetAfterBytes ?? Number.POSITIVE_INFINITY, closeAfterBytes ?? Number.POSITIVE_INFINITY)
    const left = Math.max(0, limit - passed)
    passed += bytes.length
    if (bytes.length < left) {
      to.write(bytes)
      return
    }
    stopped = true
    const how = resetAfterBytes === limit ? 'reset' : 'close'
    if (left === 0) onSpent(how)
    else to.write(bytes.subarray(0, left), () => onSpent(how))
  }

  from.on('data', enqueue)
  from.on('end', () => {
    ended = true
    move()
  })
  if (faults()?.blackHole) from.pause()
  return {
    changed() {
      if (faults()?.blackHole) from.pause()
      else move()
    },
    stop() {
      stopped = true
      timer?.cancel()
      queue.length = 0
    },
  }
}

function piecesOf(bytes: Buffer, bytesPerSecond: number | undefined): Buffer[] {
  if (bytesPerSecond === undefined) return [bytes]
  const size = Math.max(1, Math.floor(bytesPerSecond / PIECES_A_SECOND))
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
}
