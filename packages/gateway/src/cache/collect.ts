import { pipeline, type Readable, Transform } from 'node:stream'
import type { Landing } from './flights.ts'

/** How much may be copied at a time, over all bodies that are on their way. */
export interface CopyRoom {
  /** @returns false: there is no room for so much */
  take(bytes: number): boolean
  giveBack(bytes: number): void
}

/** Creates a {@link CopyRoom}. Without a bound, clients that read slowly could fill the memory with copies that are never whole. */
export function copyRoom(maxBytes: number): CopyRoom {
  let taken = 0
  return {
    take(bytes) {
      if (taken + bytes > maxBytes) return false
      taken += bytes
      return true
    },
    giveBack(bytes) {
      taken -= bytes
    },
  }
}

export interface CollectOptions {
  /** A longer one is not kept. */
  readonly maxBytes: number
  readonly room: CopyRoom
  /** Called once: with all of it, when that has gone by; or why there is no copy, as soon as that is known. */
  readonly done: (body: Uint8Array | Extract<Landing, 'not kept' | 'lost'>) => void
}

/** A body on its way, of which a copy is kept. It goes on no slower and no faster than without. */
export function collect(body: Readable, { maxBytes, room, done }: CollectOptions): Readable {
  let kept: Buffer[] | undefined = []
  let bytes = 0
  const settle = (result: Parameters<CollectOptions['done']>[0]) => {
    if (!kept) return
    kept = undefined
    room.giveBack(bytes)
    done(result)
  }
  const copying = new Transform({
    transform(chunk: Buffer, _, next) {
      if (kept && bytes + chunk.length > maxBytes) settle('not kept')
      else if (kept && !room.take(chunk.length)) settle('lost')
      else if (kept) {
        bytes += chunk.length
        kept.push(chunk)
      }
      next(null, chunk)
    },
  })
  pipeline(body, copying, (error) => settle(error || !kept ? 'lost' : Buffer.concat(kept)))
  return copying
}
