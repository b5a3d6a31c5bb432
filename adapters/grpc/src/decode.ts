import type { ProtoField, ProtoMessage, ProtoType } from './proto-model.ts'
import { WIRE, WireError, type WireReader, wireReader } from './wire-reader.ts'

/** JSON without a prototype: no name in a message can reach one. */
type Json = Record<string, unknown>

/** How deep messages may stand in one another. */
const MAX_DEPTH = 64

/**
 * The JSON of a message's bytes. Fields with unknown numbers are passed over, as protobuf has it; a field that is not there is left out, or
 * null, or an empty list or map, as the contract needs it.
 *
 * @throws {WireError} for bytes that are no such message
 */
export function decodeMessage(message: ProtoMessage, bytes: Uint8Array): Json {
  return read(message, wireReader(bytes), 0)
}

const numbered = new WeakMap<ProtoMessage, ReadonlyMap<number, ProtoField>>()

function fieldsOf(message: ProtoMessage): ReadonlyMap<number, ProtoField> {
  const known = numbered.get(message)
  if (known) return known
  const made = new Map(message.fields.map((field) => [field.number, field]))
  numbered.set(message, made)
  return made
}

function read(message: ProtoMessage, reader: WireReader, depth: number): Json {
  if (depth > MAX_DEPTH) throw new WireError(`messages stand in one another more than ${MAX_DEPTH} deep`)
  const json: Json = Object.create(null)
  const fields = fieldsOf(message)
  while (!reader.isAtEnd) {
    const { number, wire } = reader.tag()
    const field = fields.get(number)
    if (field) readField(json, field, reader, wire, depth)
    else reader.skip(wire)
  }
  for (const { jsonName, label, required, nullable } of message.fields) {
    // What may be left out says by itself when it is null: see `placed`.
    if (jsonName in json || !required) continue
    if (nullable) json[jsonName] = null
    else if (label === 'list') json[jsonName] = []
    else if (label === 'map') json[jsonName] = Object.create(null)
  }
  return json
}

function readField(json: Json, field: ProtoField, reader: WireReader, wire: number, depth: number): void {
  const { jsonName, label, type } = field
  const wanted = wireOf(type)
  if (label === 'single') {
    expectWire(field, wire, wanted)
    json[jsonName] = readOne(type, reader, depth)
    return
  }
  if (label === 'map') {
    expectWire(field, wire, WIRE.bytes)
    json[jsonName] ??= Object.create(null)
    readEntry(json[jsonName] as Json, type, reader.nested(), depth)
    return
  }
  json[jsonName] ??= []
  const list = json[jsonName] as unknown[]
  // Numbers may come packed or one by one, whoever sends them.
  if (wire === WIRE.bytes && wanted !== WIRE.bytes) {
    for (const packed = reader.nested(); !packed.isAtEnd; ) list.push(readOne(type, packed, depth))
    return
  }
  expectWire(field, wire, wanted)
  list.push(readOne(type, reader, depth))
}

function expectWire({ jsonName, number }: ProtoField, wire: number, wanted: number): void {
  if (wire !== wanted) throw new WireError(`field ${number}, "${jsonName}", has the wire type ${wire}, wanted ${wanted}`)
}

function readEntry(map: Json, type: ProtoType, reader: WireReader, depth: number): void {
  let key = ''
  let value: unknown
  while (!reader.isAtEnd) {
    const { number, wire } = reader.tag()
    if (number === 1 && wire === WIRE.bytes) key = reader.string()
    else if (number === 2 && wire === wireOf(type)) value = readOne(type, reader, depth)
    else reader.skip(wire)
  }
  map[key] = value === undefined ? readOne(type, wireReader(ZEROS), depth) : value
}

/** A value that is not there is its type's zero, whichever that is: no bytes, or a number of zeros. */
const ZEROS = new Uint8Array(8)

function readOne(type: ProtoType, reader: WireReader, depth: number): unknown {
  switch (type.kind) {
    case 'string':
      return reader.string()
    case 'int64':
      return reader.int64()
    case 'double':
      return reader.double()
    case 'bool':
      return reader.bool()
    case 'message':
      return read(type.message, reader.nested(), depth + 1)
    case 'value':
      return readValue(reader.nested(), depth + 1)
    case 'struct':
      return readStruct(reader.nested(), depth + 1)
  }
}

function wireOf({ kind }: ProtoType): number {
  if (kind === 'int64' || kind === 'bool') return WIRE.varint
  return kind === 'double' ? WIRE.fixed64 : WIRE.bytes
}

/** google.protobuf.Value: null, number, text, truth, Struct or ListValue, of which the last one counts. */
function readValue(reader: WireReader, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new WireError(`values stand in one another more than ${MAX_DEPTH} deep`)
  let value: unknown = null
  while (!reader.isAtEnd) {
    const { number, wire } = reader.tag()
    if (number === 1 && wire === WIRE.varint) {
      reader.skip(wire)
      value = null
    } else if (number === 2 && wire === WIRE.fixed64) value = reader.double()
    else if (number === 3 && wire === WIRE.bytes) value = reader.string()
    else if (number === 4 && wire === WIRE.varint) value = reader.bool()
    else if (number === 5 && wire === WIRE.bytes) value = readStruct(reader.nested(), depth + 1)
    else if (number === 6 && wire === WIRE.bytes) value = readListValue(reader.nested(), depth + 1)
    else reader.skip(wire)
  }
  return value
}

function readStruct(reader: WireReader, depth: number): Json {
  const json: Json = Object.create(null)
  while (!reader.isAtEnd) {
    const { number, wire } = reader.tag()
    if (number === 1 && wire === WIRE.bytes) readEntry(json, { kind: 'value' }, reader.nested(), depth)
    else reader.skip(wire)
  }
  return json
}

function readListValue(reader: WireReader, depth: number): unknown[] {
  const list: unknown[] = []
  while (!reader.isAtEnd) {
    const { number, wire } = reader.tag()
    if (number === 1 && wire === WIRE.bytes) list.push(readValue(reader.nested(), depth + 1))
    else reader.skip(wire)
  }
  return list
}
