import { type Component, checkEventData, type EventInput, type EventType, type Transaction } from '@banyan/core'
import { consume, messageIdOf } from '@banyan/messaging'
import { eventChannel, eventId } from './channels.ts'
import type { AnySaga } from './definition.ts'
import { toJson } from './json.ts'
import { wakeLocalWorkers } from './local-workers.ts'
import { checkName, isName } from './options.ts'
import { signalBody } from './payload.ts'
import { sagaSignalsPort, sagaStorePort } from './store.ts'

export interface SignalOptions {
  /** The same id is one signal, however often it is sent. At most 200 characters. Default: a new one. */
  id?: string
  /** What the saga's `where` gives. At most 200 characters. Default: the event type's `key` of the data. */
  key?: string
}

/**
 * Gives an event to the saga of a definition that waits for it, or will: to one of them, the first that looks. It commits with the
 * transaction. Kept for the worker's `keepSignalsMs`.
 *
 * @throws {EventError} `ERR_EVENT_INVALID`, naming each field
 * @throws {SagaError} `ERR_INPUT_NOT_JSON` when the data is not plain JSON
 */
export async function signal<E extends EventType>(
  tx: Transaction,
  definition: AnySaga,
  type: E,
  data: EventInput<E>,
  options: SignalOptions = {},
): Promise<void> {
  const signals = tx.store(sagaSignalsPort)
  const { id = signals.world.uuid(), key = type.key(data) } = options
  const action = `signal "${type.name}" to saga "${definition.name}"`
  checkName(action, '"id"', id)
  checkName(action, '"key"', key)
  await sendEvent(tx, definition, { type: type.name, id, key, data: await checkEventData(type, data) })
}

/** `data`: after the event's schema. */
async function sendEvent(
  tx: Transaction,
  { name, codec }: AnySaga,
  { type, id, key, data }: { type: string; id: string; key: string; data: unknown },
): Promise<void> {
  const signals = tx.store(sagaSignalsPort)
  const body = signalBody(codec, toJson(data, `the data of event "${type}"`, 'ERR_INPUT_NOT_JSON') ?? 'null')
  await signals.send(tx, { id: eventId(name, id), channel: eventChannel(name, type, key), body, at: signals.world.now() })
  tx.afterCommit(() => wakeLocalWorkers(tx.store(sagaStorePort)))
}

/**
 * Hands the events that sagas wait for from the bus to them, each once: a component beside `runSagas`. The event's key is what a
 * saga's `where` is compared with.
 *
 * @throws {RangeError} when none of the definitions waits for an event
 */
export function signalSagas(definitions: readonly AnySaga[], options: { group?: string } = {}): Component {
  const waits = new Map<string, { type: EventType; sagas: Map<string, AnySaga> }>()
  for (const definition of definitions) {
    for (const step of definition.steps) {
      if (step.kind !== 'wait') continue
      const known = waits.get(step.event.name) ?? { type: step.event, sagas: new Map() }
      // By name: versions of one saga share their signals.
      waits.set(step.event.name, { type: known.type, sagas: known.sagas.set(definition.name, definition) })
    }
  }
  const names = definitions.map(({ name }) => name)
  if (waits.size === 0)
    throw new RangeError(`cannot signal sagas: none of ${names.map((name) => `"${name}"`).join(', ')} waits for an event`)
  return consume(
    [...waits.values()].map(({ type }) => type),
    async ({ type, key, data, envelope }, tx) => {
      // No saga waits under such a key, and not every database would take it.
      if (!isName(key)) return
      const id = messageIdOf(envelope)
      for (const definition of waits.get(type)?.sagas.values() ?? []) await sendEvent(tx, definition, { type, id, key, data })
    },
    options.group === undefined ? {} : { group: options.group },
  )
}
