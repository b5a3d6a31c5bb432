/** Runs at most so many things at once; the rest wait in line. */
export interface Slots<T> {
  /** Puts it in line. Nothing after {@link Slots.close}. */
  add(one: T): void
  /** Whether something may be begun now. */
  mayBegin(): boolean
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

export interface SlotsOptions<T> {
  readonly concurrency: number
  /** The kind of a thing, and how many of the kind may run at once; `undefined`: as many as there are slots. */
  readonly limitOf: (one: T) => { name: string; most: number | undefined }
  /** While it says no, nothing is begun. */
  readonly isOpen: () => boolean
  /** Must not reject. */
  readonly run: (one: T) => Promise<void>
}

/** Things of one kind. */
interface Line<T> {
  readonly waiting: Set<T>
  readonly most: number
  running: number
}

/** Creates slots. Each kind has a line of its own, so that one that is at its limit does not hold up the others. */
export function sagaSlots<T>({ concurrency, limitOf, isOpen, run }: SlotsOptions<T>): Slots<T> {
  const lines = new Map<string, Line<T>>()
  const running = new Set<Promise<void>>()
  let closed = false
  let inLine = 0
  const mayBegin = () => !closed && isOpen()

  function pump(): void {
    for (let begun = true; begun && inLine > 0; ) {
      begun = false
      // In turns: a kind with a long line does not take all the slots.
      for (const line of lines.values()) begun = beginOne(line) || begun
    }
  }

  function beginOne(line: Line<T>): boolean {
    if (line.running >= line.most || running.size >= concurrency || line.waiting.size === 0 || !mayBegin()) return false
    const { value: one } = line.waiting.values().next() as { value: T }
    line.waiting.delete(one)
    inLine -= 1
    line.running += 1
    const done = run(one).finally(() => {
      running.delete(done)
      line.running -= 1
      pump()
    })
    running.add(done)
    return true
  }

  function lineOf(one: T): Line<T> {
    const { name, most = concurrency } = limitOf(one)
    const known = lines.get(name)
    if (known) return known
    const line: Line<T> = { waiting: new Set(), most, running: 0 }
    lines.set(name, line)
    return line
  }

  function clear(): void {
    for (const { waiting } of lines.values()) waiting.clear()
    inLine = 0
  }

  return {
    add(one) {
      if (closed) return
      const { waiting } = lineOf(one)
      if (!waiting.has(one)) inLine += 1
      waiting.add(one)
      pump()
    },
    mayBegin,
    wake: pump,
    clear,
    close() {
      closed = true
      clear()
    },
    async idle() {
      while (running.size > 0) await Promise.allSettled(running)
    },
    size: () => running.size + inLine,
  }
}
