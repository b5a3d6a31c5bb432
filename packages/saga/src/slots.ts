import { type TurnsOptions, takingTurns } from './turns.ts'

/** Runs at most so many things at once; the rest wait in line. */
export interface Slots<T> {
  /** Puts it in line. Nothing after {@link Slots.close}. */
  add(one: T): void
  /** Whether what has a slot may do one thing more in it: something may be begun, and nothing stands in line. */
  mayGoOn(): boolean
  /** Looks again whether something may be begun. */
  wake(): void
  /** Empties the lines. */
  clear(): void
  /** Begins nothing any more. */
  close(): void
  /** Resolves when nothing runs. */
  idle(): Promise<void>
  /** What runs or stands in line. */
  size(): number
}

export interface SlotsOptions<T> extends TurnsOptions<T> {
  /** While it says no, nothing is begun. */
  readonly isOpen: () => boolean
  /** Must not reject. */
  readonly run: (one: T) => Promise<void>
}

/** Creates slots, whose order is that of {@link takingTurns}. */
export function sagaSlots<T>({ isOpen, run, ...options }: SlotsOptions<T>): Slots<T> {
  const turns = takingTurns<T>(options)
  const running = new Set<Promise<void>>()
  let closed = false
  const mayBegin = () => !closed && isOpen()

  function pump(): void {
    while (turns.waiting() > 0 && mayBegin()) {
      const one = turns.next()
      if (one === undefined) return
      begin(one)
    }
  }

  function begin(one: T): void {
    const done = run(one).finally(() => {
      running.delete(done)
      turns.ended(one)
      pump()
    })
    running.add(done)
  }

  return {
    add(one) {
      if (closed) return
      turns.add(one)
      pump()
    },
    mayGoOn: () => turns.waiting() === 0 && mayBegin(),
    wake: pump,
    clear: turns.clear,
    close() {
      closed = true
      turns.clear()
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled(running)
    },
    size: () => running.size + turns.waiting(),
  }
}
