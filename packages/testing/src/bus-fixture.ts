import type { Bus, Delivery, Envelope, Subscription } from '@banyan/core'
import { afterEach, beforeEach, vi } from 'vitest'

/** What {@link busSuite} needs of an adapter. */
export interface BusFixture {
  /** Makes a place for one empty bus. */
  create(): Promise<BusSite>
  /** The URL of a module with `openBus(place: string): Bus`, for other processes. Left out: the bus lives in one process only. */
  module?: string
}

/** A place for one bus. */
export interface BusSite {
  /** What the fixture's module opens it by. */
  readonly place: string
  open(): Bus
  /** Puts a text that is no envelope among the events of `type`. */
  putRaw(type: string, raw: string): Promise<void>
  /** Frees it, once all handles are closed. */
  remove(): Promise<void>
}

/** One test's bus. */
export interface BusTest {
  /** Opens another handle, as another process would; it is closed when the test ends. */
  open(): Bus
  readonly fixture: BusFixture
  readonly site: () => BusSite
}

/** Gives each test of a suite a bus of its own. */
export function busTest(fixture: BusFixture): BusTest {
  const opened: Bus[] = []
  let site: BusSite | undefined

  function current(): BusSite {
    if (!site) throw new Error('cannot use the bus outside a test')
    return site
  }

  beforeEach(async () => {
    site = await fixture.create()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((bus) => bus.close()))
    await site?.remove()
  })

  return {
    open() {
      const bus = current().open()
      opened.push(bus)
      return bus
    },
    fixture,
    site: current,
  }
}

/** Keeps what a subscription got. */
export interface Collector {
  readonly envelopes: Envelope[]
  readonly batches: number
  readonly subscription: Subscription
  /** The numbers of one key, in the order they came. */
  of(subject: string): unknown[]
  /** Resolves when so many have come. */
  until(count: number, timeoutMs?: number): Promise<void>
}

/** Subscribes and collects. `onBatch` runs before a batch counts as handled. */
export async function collect(
  bus: Bus,
  group: string,
  options: { types?: readonly string[]; onBatch?: (batch: readonly Delivery[]) => Promise<void> } = {},
): Promise<Collector> {
  const { types = ['suite.tick'], onBatch } = options
  const envelopes: Envelope[] = []
  let batches = 0
  const subscription = await bus.subscribe({
    group,
    types,
    async handle(batch) {
      batches += 1
      await onBatch?.(batch)
      for (const { envelope } of batch) if (envelope) envelopes.push(envelope)
    },
  })
  return {
    envelopes,
    get batches() {
      return batches
    },
    subscription,
    of: (subject) => envelopes.filter((envelope) => envelope.subject === subject).map(({ data }) => data),
    async until(count, timeoutMs = 10_000) {
      const enough = () => {
        if (envelopes.length < count) throw new Error(`${envelopes.length} of ${count} events have come`)
      }
      await vi.waitFor(enough, { timeout: timeoutMs, interval: 5 })
    },
  }
}

/** `[0, 1, 2, ...]`. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}
