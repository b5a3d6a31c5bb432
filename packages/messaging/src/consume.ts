import {
  busOf,
  type Component,
  type ComponentContext,
  type Delivery,
  databaseOf,
  decodeEnvelope,
  type EventType,
  messageOf,
  type Subscription,
  shown,
} from '@banyan/core'
import { handleBatch } from './batch.ts'
import type { ConsumedEvent, EventHandler, EventTypes, Prepare } from './consumed-event.ts'
import { deliveryHandler } from './delivery.ts'
import { observeKeyQueue } from './gauges.ts'
import { type EventRunner, eventRunner } from './handling.ts'
import { inboxCleaner } from './inbox-cleaner.ts'
import { type KeyQueueWorker, keyQueueWorker } from './key-queue.ts'
import { instruments, recordLag } from './metrics.ts'
import { checkOptions } from './options.ts'
import { DEFAULT_RETRY, type RetrySchedule } from './parking.ts'
import { deadLettersPort } from './ports.ts'
import { relayGroup } from './relay-group.ts'
import { settledMarks } from './settled-marks.ts'

export interface ConsumeOptions<T extends EventTypes, Prepared> {
  /**
   * Consumers of one group share the events, and each event has its effects once a group. Default: the service's name, `/`, and the event
   * types joined by `+`. With another group, and so without one after a type was added or taken away, all that the bus still keeps
   * has its effects again: give one to whatever may change. Not `<service>/relay`, which is the relay's.
   */
  group?: string
  /** How a failed event is run again. Default: 6 runs, 100 ms base, 30,000 ms cap, full jitter. */
  retry?: Partial<RetrySchedule>
  /** How many keys run at once, a whole number from 1. Default 16. */
  concurrency?: number
  /** `key`: one key's events run one after another, and wait behind one that failed. `none`: each for itself. Default `key`. */
  ordering?: 'key' | 'none'
  /** Runs outside the transaction before the handler, at least once; its result is the handler's third argument. */
  prepare?: Prepare<T, Prepared>
  /**
   * How long `prepare`, and before it the event's schema and upcasts, may take each before it counts as failed, milliseconds. Default
   * 30,000. The handler has the database's own limit.
   */
  handlerTimeoutMs?: number
  /**
   * How long the ids of handled events are kept, milliseconds. What the bus brings again after that is known by its place, where
   * the bus gives one (the embedded ones do); what a publisher sends anew after that is handled again. Default 7 days.
   */
  inboxRetentionMs?: number
  /** How often to look for messages that another process made due, by a redrive, milliseconds. Default 1,000. */
  pollMs?: number
}

/**
 * Handles events: each has its effects on the service's own database exactly once a {@link ConsumeOptions.group}. The note that it
 * is handled, the handler's writes and the events it publishes commit together, so one that comes again changes nothing. Events of one
 * key run in order, different keys concurrently.
 *
 * One that fails is parked in the database and run again with growing pauses; later events of its key wait behind it, others
 * flow on. After all its attempts it is a dead letter, until {@link deadLetters} redrives, edits or discards it. One that
 * cannot be read, or does not fit its schema, is a dead letter at once.
 *
 * Annotate the third parameter of a handler that has one: `(event, tx, price: Price)`.
 *
 * @throws {RangeError} for options out of range; when it starts, for a group that is the relay's: `<service>/relay`
 * @see Richardson, Microservices Patterns, 3.3.6, "Handling duplicate messages"
 */
export function consume<const T extends EventTypes, Prepared = undefined>(
  types: T,
  handler: EventHandler<T, Prepared>,
  options: ConsumeOptions<T, Prepared> = {},
): Component {
  const list: readonly EventType[] = isList(types) ? types : [types]
  const names = list.map(({ name }) => name)
  const settings = settingsOf(names, options)
  let running: Running | undefined

  return {
    name: options.group ? `consume ${options.group}` : `consume ${names.join('+')}`,
    async start(context) {
      const group = options.group ?? `${context.service}/${names.join('+')}`
      // The relay would send, and take out of the queue, what is parked for the handler.
      if (group === relayGroup(context.service))
        throw new RangeError(
          `cannot consume ${names.join(', ')}: the group "${group}" is that of the service's relay, give another "group"`,
        )
      const runner = eventRunner<ConsumedEvent<T>, Prepared>({
        types: list,
        handler,
        ...(options.prepare ? { prepare: options.prepare } : {}),
        timeoutMs: settings.handlerTimeoutMs,
        group,
        context,
        database: databaseOf(context, 'consume'),
      })
      running = await run(context, group, names, settings, runner)
    },
    async stop() {
      await running?.stop()
      running = undefined
    },
    async health() {
      return running ? running.health() : { healthy: false, detail: 'not subscribed' }
    },
  }
}

type Settings = Required<
  Pick<ConsumeOptions<EventTypes, unknown>, 'concurrency' | 'ordering' | 'handlerTimeoutMs' | 'inboxRetentionMs' | 'pollMs'>
> & {
  retry: RetrySchedule
}

type Running = Required<Pick<Component, 'stop' | 'health'>>

function settingsOf<T extends EventTypes, P>(names: readonly string[], options: ConsumeOptions<T, P>): Settings {
  const { concurrency = 16, ordering = 'key', handlerTimeoutMs = 30_000, inboxRetentionMs = 7 * 86_400_000, pollMs = 1_000 } = options
  const retry = { ...DEFAULT_RETRY, ...options.retry }
  const action = `consume ${names.join(', ')}`
  if (names.length === 0) throw new RangeError('cannot consume: no event types given')
  if (ordering !== 'key' && ordering !== 'none')
    throw new RangeError(`cannot ${action}: "ordering" is ${shown(ordering)}, wanted "key" or "none"`)
  if (options.group === '') throw new RangeError(`cannot ${action}: "group" is empty, wanted a name`)
  checkOptions(action, { concurrency, handlerTimeoutMs, inboxRetentionMs, pollMs, ...retry })
  return { concurrency, ordering, handlerTimeoutMs, inboxRetentionMs, pollMs, retry }
}

async function run(
  context: ComponentContext,
  group: string,
  names: readonly string[],
  settings: Settings,
  runner: EventRunner,
): Promise<Running> {
  const { world, log, service } = context
  const database = databaseOf(context, 'consume')
  const bus = busOf(context, 'consume')
  const { concurrency, ordering, retry, pollMs, inboxRetentionMs } = settings
  const stopping = new AbortController()
  const attributes = { 'banyan.service': service, 'banyan.group': group }
  const worker: KeyQueueWorker = keyQueueWorker({
    database,
    world,
    log,
    group,
    retry,
    concurrency,
    pollMs,
    run: runner.rerun,
    failureOf: runner.failureOf,
    onRun({ raw }, result) {
      const { handled, retries, deadLetters } = instruments()
      const counter = { done: handled, retry: retries, dead: deadLetters }[result]
      counter.add(1, attributes)
      if (result === 'done') recordLag(decodeEnvelope(raw), world.now(), attributes)
    },
  })
  const marks = settledMarks()
  const cleaner = inboxCleaner({ database, world, log, group, retentionMs: inboxRetentionMs, marks })
  const deliver = deliveryHandler({ database, world, log, group, ordering, retry, runner, attributes, retentionMs: inboxRetentionMs })
  const handleAll = handleBatch({ concurrency, ordering, deliver, signal: stopping.signal })
  const handle = async (batch: readonly Delivery[]) => {
    await handleAll(batch)
    marks.settled(batch)
  }
  const unobserve = observeKeyQueue(database, world, service, group)
  worker.start()
  cleaner.start()
  const stopParts = async () => {
    unobserve()
    await Promise.all([worker.stop(), cleaner.stop()])
  }
  let subscription: Subscription
  try {
    subscription = await bus.subscribe({ group, types: names, handle })
  } catch (error) {
    await stopParts()
    throw error
  }
  return {
    async stop() {
      stopping.abort()
      try {
        await subscription.stop()
      } finally {
        await stopParts()
      }
    },
    async health() {
      try {
        const all = await database.read((tx) => database.store(deadLettersPort).stats(tx))
        const own = all.find((one) => one.group === group)
        return { healthy: true, detail: `${own?.parkedKeys ?? 0} keys parked, ${own?.deadLetters ?? 0} dead letters` }
      } catch (error) {
        return { healthy: false, detail: `cannot read the key queue: ${messageOf(error)}` }
      }
    },
  }
}

function isList(types: EventTypes): types is readonly EventType[] {
  return Array.isArray(types)
}
