import type { Snapshot } from '@banyan/core'

/** Snapshots as they came, and a way to wait for one. */
export interface SnapshotRecorder {
  readonly seen: readonly Snapshot[]
  /** Give it to `Registry.watch`. */
  take(snapshot: Snapshot): void
  /** Resolves with the last snapshot, now or later, as soon as it is one that is wanted. */
  until(isWanted: (snapshot: Snapshot) => boolean, withinMs?: number): Promise<Snapshot>
}

/** Records what a watcher is told. */
export function recordSnapshots(): SnapshotRecorder {
  const seen: Snapshot[] = []
  const waiting = new Set<() => void>()
  return {
    seen,
    take(snapshot) {
      seen.push(snapshot)
      for (const look of [...waiting]) look()
    },
    until: (isWanted, withinMs = 15_000) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(new Error(`not seen within ${withinMs} ms; last was ${JSON.stringify(seen.at(-1))}`))
        }, withinMs)
        const look = () => {
          const last = seen.at(-1)
          if (!last || !isWanted(last)) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(last)
        }
        waiting.add(look)
        look()
      }),
  }
}
