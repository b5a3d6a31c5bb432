import type { Field, Shape, Slot } from '@banyan/service/internal'
import { contractError } from './errors.ts'
import type { LockedMessage } from './proto-lock.ts'
import type { ProtoField, ProtoMessage, ProtoType } from './proto-model.ts'
import { pascalName, snakeName } from './proto-names.ts'

/** Makes the messages of one .proto. */
export interface MessageMaker {
  readonly made: readonly ProtoMessage[]
  /** `outputs`: the messages of answers, while those of requests are made. */
  make(
    name: string,
    comment: string | undefined,
    fields: readonly Field[],
    locked: LockedMessage | undefined,
    outputs?: ReadonlySet<ProtoMessage>,
  ): ProtoMessage
  ofShape(shape: Shape & { kind: 'object' }, name: string, locked: LockedMessage | undefined): ProtoMessage
}

/** Messages, each made once: of a shape that has a name under that name, of others under that of their place. */
export function messageMaker(api: string): MessageMaker {
  const made: ProtoMessage[] = []
  const known = new Map<Shape, ProtoMessage>()
  let outputs: ReadonlySet<ProtoMessage> = new Set()

  function add(
    name: string,
    comment: string | undefined,
    closed: boolean,
    fill: (fields: ProtoField[]) => readonly number[],
  ): ProtoMessage {
    const fields: ProtoField[] = []
    const reserved: number[] = []
    const message: ProtoMessage = { name, comment, fields, reserved, closed }
    const at = made.push(message) - 1
    reserved.push(...fill(fields))
    // A named shape is a new object each time a schema is read: the same message again is no second one.
    const same = made.slice(0, at).find((other) => other.name === name)
    if (!same) return message
    if (signature(same) !== signature(message)) throw contractError(api, `two schemas of different fields become the message "${name}"`)
    made.length = at
    return same
  }

  const make: MessageMaker['make'] = (name, comment, wanted, locked, apartFrom = new Set()) => {
    outputs = apartFrom
    return add(name, comment, true, (fields) => fillFields(fields, wanted, name, locked))
  }

  function ofShape(shape: Shape & { kind: 'object' }, place: string, locked: LockedMessage | undefined): ProtoMessage {
    const found = known.get(shape)
    if (found) return found
    // A package has one thing of a name, and that is the service.
    const name = shape.name === undefined || shape.name === pascalName(api) ? place : shape.name
    const message = add(uniqueName(name, shape), shape.description, shape.closed, (fields) => {
      known.set(shape, made.at(-1) as ProtoMessage)
      return fillFields(fields, shape.fields, name, locked)
    })
    known.set(shape, message)
    return message
  }

  /** What comes in may differ from what goes out, by its defaults: then the former has a name of its own. */
  function uniqueName(name: string, shape: Shape & { kind: 'object' }): string {
    const other = made.find((message) => message.name === name)
    return other && outputs.has(other) && !sameNeeds(other, shape) ? `${name}Input` : name
  }

  function fillFields(fields: ProtoField[], wanted: readonly Field[], name: string, locked: LockedMessage | undefined): readonly number[] {
    const numbers = numberer(locked)
    for (const each of wanted) {
      const snake = snakeName(each.name)
      if (fields.some((other) => other.name === snake)) throw contractError(api, `two fields of "${name}" become "${snake}"`)
      const { shape, label } = placed(each)
      const type = typeOf(shape, name + pascalName(each.name), locked?.fields.get(snake)?.message)
      const number = numbers.of(snake, describe(type, label))
      const { name: jsonName, required, nullable, description } = each
      fields.push({ name: snake, jsonName, number, type, label, required, nullable, comment: description ?? valuesOf(shape) })
    }
    return numbers.givenUp()
  }

  function typeOf(shape: Shape | 'struct', place: string, locked: LockedMessage | undefined): ProtoType {
    if (shape === 'struct') return { kind: 'struct' }
    if (shape.kind === 'object') return { kind: 'message', message: ofShape(shape, place, locked) }
    return { kind: KINDS[shape.kind] }
  }

  return { made, make, ofShape }
}

const KINDS = {
  text: 'string',
  integer: 'int64',
  number: 'double',
  boolean: 'bool',
  any: 'value',
  // Of these a field holds many, or they are any JSON: see `placed`.
  list: 'value',
  map: 'value',
} as const satisfies Record<Exclude<Shape['kind'], 'object'>, ProtoType['kind']>

/** What a field holds one or many of. What protobuf has no way to say is any JSON. */
function placed({ shape, nullable, required }: Field): { shape: Shape | 'struct'; label: ProtoField['label'] } {
  const any: Shape = { kind: 'any' }
  // Not there, null and empty are three things; a field of protobuf's tells two apart, and a list or map one.
  if (nullable && (!required || shape.kind === 'list' || shape.kind === 'map')) return { shape: any, label: 'single' }
  if (shape.kind === 'list') return { shape: isPlain(shape.of) ? shape.of.shape : any, label: 'list' }
  if (shape.kind === 'map') {
    return isPlain(shape.of) ? { shape: shape.of.shape, label: 'map' } : { shape: 'struct', label: 'single' }
  }
  return { shape, label: 'single' }
}

function isPlain({ shape, nullable }: Slot): boolean {
  return !nullable && shape.kind !== 'list' && shape.kind !== 'map' && shape.kind !== 'any'
}

function valuesOf(shape: Shape | 'struct'): string | undefined {
  return shape !== 'struct' && shape.kind === 'text' && shape.values ? `One of: ${shape.values.join(', ')}` : undefined
}

/** Gives out the numbers of one message. */
function numberer(locked: LockedMessage | undefined) {
  const before = [...(locked?.fields.values() ?? [])].map(({ number }) => number)
  let highest = Math.max(0, ...before, ...(locked?.reserved ?? []))
  const used = new Set<number>()
  return {
    of(name: string, type: string): number {
      const known = locked?.fields.get(name)
      if (known?.type === type) {
        used.add(known.number)
        return known.number
      }
      highest += 1
      // 19,000 to 19,999 belong to protobuf.
      if (highest === 19_000) highest = 20_000
      return highest
    },
    givenUp: (): readonly number[] => [...(locked?.reserved ?? []), ...before.filter((number) => !used.has(number))].sort((a, b) => a - b),
  }
}

/** As {@link LockedMessage} describes types. */
function describe(type: ProtoType, label: ProtoField['label']): string {
  const kinds = { value: 'Value', struct: 'Struct' } as const
  const kind = type.kind === 'value' || type.kind === 'struct' ? kinds[type.kind] : type.kind
  return { single: '', list: 'repeated ', map: 'map ' }[label] + kind
}

function signature(message: ProtoMessage): string {
  return JSON.stringify(
    message.fields.map(({ name, number, type, label, required }) => {
      return [name, number, describe(type, label), type.kind === 'message' ? type.message.name : '', required]
    }),
  )
}

function sameNeeds(message: ProtoMessage, shape: Shape & { kind: 'object' }): boolean {
  const needs = (fields: readonly { required: boolean }[], nameOf: (index: number) => string | undefined) =>
    fields.map(({ required }, index) => `${nameOf(index)} ${required}`).join()
  return needs(message.fields, (index) => message.fields[index]?.jsonName) === needs(shape.fields, (index) => shape.fields[index]?.name)
}
