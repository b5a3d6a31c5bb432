import type { Issue } from '@banyan/core'
import protobuf from 'protobufjs'
import type { ProtoField, ProtoMessage, ProtoType, ScalarKind } from './proto-model.ts'
import { WIRE } from './wire-reader.ts'

/** What {@link encodeMessage} makes: bytes, or each thing that keeps the JSON from being such a message. */
export type Encoded = { readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly issues: readonly Issue[] }

interface Sink {
  readonly writer: protobuf.Writer
  readonly issues: Issue[]
}

/** The bytes of a message whose JSON is `json`. Checks types only; the contract's schemas judge the rest. */
export function encodeMessage(message: ProtoMessage, json: unknown): Encoded {
  const sink: Sink = { writer: protobuf.Writer.create(), issues: [] }
  writeMessage(sink, message, json, '')
  return sink.issues.length === 0 ? { ok: true, bytes: sink.writer.finish() } : { ok: false, issues: sink.issues }
}

interface Scalar<T> {
  readonly wire: number
  readonly wanted: string
  is(value: unknown): value is T
  put(writer: protobuf.Writer, value: T): void
}

const SCALARS = {
  string: {
    wire: WIRE.bytes,
    wanted: 'a text',
    is: (value): value is string => typeof value === 'string',
    put: (writer, value) => void writer.string(value),
  } satisfies Scalar<string>,
  int64: {
    wire: WIRE.varint,
    wanted: 'a whole number within 2^53',
    is: (value): value is number => Number.isSafeInteger(value),
    put: (writer, value) => void writer.int64(value),
  } satisfies Scalar<number>,
  double: {
    wire: WIRE.fixed64,
    wanted: 'a number',
    is: (value): value is number => typeof value === 'number',
    put: (writer, value) => void writer.double(value),
  } satisfies Scalar<number>,
  bool: {
    wire: WIRE.varint,
    wanted: 'true or false',
    is: (value): value is boolean => typeof value === 'boolean',
    put: (writer, value) => void writer.bool(value),
  } satisfies Scalar<boolean>,
}

function scalarOf(kind: ScalarKind | 'message'): Scalar<unknown> | undefined {
  // `put` is called with what `is` has let through.
  return kind === 'string' || kind === 'int64' || kind === 'double' || kind === 'bool' ? (SCALARS[kind] as Scalar<unknown>) : undefined
}

function writeMessage(sink: Sink, message: ProtoMessage, json: unknown, path: string): void {
  if (!isObject(json)) {
    refuse(sink, path, 'an object', json)
    return
  }
  const names = new Set(message.fields.map(({ jsonName }) => jsonName))
  const strangers = message.closed ? Object.keys(json).filter((name) => !names.has(name) && json[name] !== undefined) : []
  for (const name of strangers) sink.issues.push({ path: at(path, name), message: 'there is no such field' })
  for (const field of message.fields) {
    const value = Object.hasOwn(json, field.jsonName) ? json[field.jsonName] : undefined
    // A field that may be null says so by not being there; any JSON says it itself.
    if (value === undefined || (value === null && field.nullable && field.type.kind !== 'value')) continue
    writeField(sink, field, value, at(path, field.jsonName))
  }
}

function writeField(sink: Sink, { label, number, type }: ProtoField, value: unknown, path: string): void {
  if (label === 'single') writeOne(sink, number, type, value, path)
  else if (label === 'list') {
    if (!Array.isArray(value)) refuse(sink, path, 'a list', value)
    else for (const [index, each] of value.entries()) writeOne(sink, number, type, each, at(path, index))
  } else if (!isObject(value)) refuse(sink, path, 'an object', value)
  else for (const [key, each] of Object.entries(value)) writeEntry(sink, number, type, key, each, at(path, key))
}

function writeEntry(sink: Sink, number: number, type: ProtoType, key: string, value: unknown, path: string): void {
  if (value === undefined) return
  sink.writer.uint32(tag(number, WIRE.bytes)).fork().uint32(tag(1, WIRE.bytes)).string(key)
  writeOne(sink, 2, type, value, path)
  sink.writer.ldelim()
}

function writeOne(sink: Sink, number: number, type: ProtoType, value: unknown, path: string): void {
  const { writer } = sink
  const scalar = scalarOf(type.kind)
  if (scalar) {
    if (!scalar.is(value)) refuse(sink, path, scalar.wanted, value)
    else scalar.put(writer.uint32(tag(number, scalar.wire)), value)
    return
  }
  writer.uint32(tag(number, WIRE.bytes)).fork()
  if (type.kind === 'message') writeMessage(sink, type.message, value, path)
  else if (type.kind === 'value') writeValue(sink, value, path)
  else if (isObject(value)) writeStruct(sink, value, path)
  else refuse(sink, path, 'an object', value)
  writer.ldelim()
}

/** google.protobuf.Value. */
function writeValue(sink: Sink, value: unknown, path: string): void {
  const { writer } = sink
  if (value === null || value === undefined) writer.uint32(tag(1, WIRE.varint)).int32(0)
  else if (typeof value === 'number') writer.uint32(tag(2, WIRE.fixed64)).double(value)
  else if (typeof value === 'string') writer.uint32(tag(3, WIRE.bytes)).string(value)
  else if (typeof value === 'boolean') writer.uint32(tag(4, WIRE.varint)).bool(value)
  else if (Array.isArray(value)) {
    writer.uint32(tag(6, WIRE.bytes)).fork()
    for (const [index, each] of value.entries()) writeOne(sink, 1, { kind: 'value' }, each, at(path, index))
    writer.ldelim()
  } else if (isObject(value)) {
    writer.uint32(tag(5, WIRE.bytes)).fork()
    writeStruct(sink, value, path)
    writer.ldelim()
  } else refuse(sink, path, 'what JSON can say', value)
}

function writeStruct(sink: Sink, value: Record<string, unknown>, path: string): void {
  for (const [key, each] of Object.entries(value)) writeEntry(sink, 1, { kind: 'value' }, key, each, at(path, key))
}

function tag(number: number, wire: number): number {
  return ((number << 3) | wire) >>> 0
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function at(path: string, name: string | number): string {
  return path === '' ? String(name) : `${path}.${name}`
}

function refuse({ issues }: Sink, path: string, wanted: string, value: unknown): void {
  const was = value === null ? 'null' : Array.isArray(value) ? 'a list' : `of type ${typeof value}`
  issues.push({ path, message: `is ${was}, wanted ${wanted}` })
}
