/** Runs at most `concurrency` things at once; the rest wait in line. */
export interface Slots<T> {
  /** Puts it in line. Nothing after {@link Slots.close}. */
  add(one: T): void
  /** Whether something may be begun now. */
  mayBegin(): boolean
  /** Looks again whether something may be begun. */
  wake(): void
  /** Empties the line. */
  clear(): void
  /** Begins nothing any more. */
  close(): void
  /** Resolves when nothing runs. */
  idle(): Promise<void>
  /** What runs or stands in line. */
  size(): number
}

/** Creates slots; `run` must not reject. While `isOpen` says no, nothing is begun. */
export function sagaSlots<T>(concurrency: number, isOpen: () => boolean, run: (one: T) => Promise<void>): Slots<T> {
  const line = new Set<T>()
  const running = new Set<Promise<void>>()
  let closed = false
  const mayBegin = () => !closed && isOpen()

  function pump(): void {
    for (const one of line) {
      if (running.size >= concurrency || !mayBegin()) return
      line.delete(one)
      const done = run(one).finally(() => {
        running.delete(done)
        pump()
      })
      running.add(done)
    }
  }

  return {
    add(one) {
      if (closed) return
      line.add(one)
      pump()
    },
    mayBegin,
    wake: pump,
    clear: () => line.clear(),
    close() {
      closed = true
      line.clear()
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled(running)
    },
    size: () => running.size + line.size,
  }
}
