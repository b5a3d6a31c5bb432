import { pipeline, type Readable, Transform } from 'node:stream'

export interface CollectOptions {
  readonly maxBytes: number
  /** All of it has gone by; `undefined`: it was cut, or larger than `maxBytes`. */
  readonly done: (body: Uint8Array | undefined) => void
}

/** A body on its way, of which a copy is kept. It goes on no slower and no faster than without. */
export function collect(body: Readable, { maxBytes, done }: CollectOptions): Readable {
  let kept: Buffer[] | undefined = []
  let bytes = 0
  const copying = new Transform({
    transform(chunk: Buffer, _, next) {
      bytes += chunk.length
      if (bytes > maxBytes) kept = undefined
      kept?.push(chunk)
      next(null, chunk)
    },
  })
  pipeline(body, copying, (error) => done(error || !kept ? undefined : Buffer.concat(kept)))
  return copying
}
