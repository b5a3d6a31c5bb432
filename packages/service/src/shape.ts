import type { Schema } from '@banyan/core'

/** What values of a schema look like, as far as a typed protocol can say it. The schema itself stays the judge. */
export type Shape = TextShape | IntegerShape | ListShape | MapShape | ObjectShape | { readonly kind: 'number' | 'boolean' | 'any' }

export interface TextShape {
  readonly kind: 'text'
  /** The texts there are, when they are few and known. */
  readonly values?: readonly string[]
}

export interface IntegerShape {
  readonly kind: 'integer'
  readonly minimum: number
  readonly maximum: number
}

export interface ListShape {
  readonly kind: 'list'
  readonly of: Slot
}

/** Any names, values alike. */
export interface MapShape {
  readonly kind: 'map'
  readonly of: Slot
}

/** Named fields. The same schema is the same object, so a schema that contains itself makes a ring. */
export interface ObjectShape {
  readonly kind: 'object'
  /** The schema's `title` or `id`. */
  readonly name: string | undefined
  readonly description: string | undefined
  readonly fields: readonly Field[]
  /** Fields without a name here are refused. */
  readonly closed: boolean
}

/** A place for a value. */
export interface Slot {
  readonly shape: Shape
  readonly nullable: boolean
}

export interface Field extends Slot {
  readonly name: string
  readonly required: boolean
  readonly description: string | undefined
}

type Json = Readonly<Record<string, unknown>>

/** What schemas of any vendor say when nothing is known: any JSON. */
const ANY: Slot = { shape: { kind: 'any' }, nullable: true }

/**
 * The shape of what a schema takes (`input`) or gives (`output`). A vendor that has Standard JSON Schema (zod since 4.2, valibot's and
 * arktype's newest) tells it; of the others, of what JSON Schema cannot say, and of unions and tuples no more is known than "any JSON".
 *
 * @see https://standardschema.dev/json-schema
 */
export function shapeOf(schema: Schema, side: 'input' | 'output'): Slot {
  const json = jsonSchemaOf(schema, side)
  if (!json) return ANY
  return reader(isJson(json.$defs) ? json.$defs : {}, json).read(json)
}

/**
 * The shape of a query, which a schema reads out of texts: where its input says nothing (`z.coerce.number()`), what it makes of the text.
 */
export function queryShapeOf(schema: Schema): Slot {
  const taken = shapeOf(schema, 'input')
  const given = shapeOf(schema, 'output')
  if (taken.shape.kind !== 'object' || given.shape.kind !== 'object') return taken
  const known = new Map(given.shape.fields.map((field) => [field.name, field]))
  const fields = taken.shape.fields.map((field) => {
    const better = field.shape.kind === 'any' ? known.get(field.name) : undefined
    return better ? { ...field, shape: better.shape, nullable: better.nullable } : field
  })
  return { shape: { ...taken.shape, fields }, nullable: taken.nullable }
}

function jsonSchemaOf(schema: Schema, side: 'input' | 'output'): Json | undefined {
  const standard: object = schema['~standard']
  if (!('jsonSchema' in standard) || !isJson(standard.jsonSchema)) return undefined
  const convert = standard.jsonSchema[side]
  if (typeof convert !== 'function') return undefined
  try {
    const json: unknown = convert({ target: 'draft-2020-12' })
    return isJson(json) ? json : undefined
  } catch {
    // The standard lets a vendor throw for what JSON Schema cannot say: then nothing is known of it.
    return undefined
  }
}

/** Reads one JSON Schema; references are read once, so that rings end. */
function reader(definitions: Json, root: Json): { read(json: unknown): Slot } {
  const known = new Map<unknown, Slot>()
  /** References on the way from the root to here. The root itself is read first. */
  const followed = new Set(['#'])

  function read(json: unknown): Slot {
    if (!isJson(json)) return ANY
    if (typeof json.$ref === 'string') return referred(json.$ref)
    const found = known.get(json)
    if (found) return found
    const nullable = nullableOf(json)
    if (nullable) return { shape: read(nullable).shape, nullable: true }
    if (json.type === 'object') return object(json, nameOf(json))
    return { shape: plain(json, read), nullable: false }
  }

  function referred(reference: string): Slot {
    const name = /^#\/\$defs\/([^/]+)$/.exec(reference)?.[1]
    const json = reference === '#' ? root : name === undefined ? undefined : definitions[name]
    if (!isJson(json)) return ANY
    // A ring without an object that could be one in it, as of a list of itself, has no end.
    if (followed.has(reference)) return known.get(json) ?? ANY
    followed.add(reference)
    const slot = json.type === 'object' ? object(json, nameOf(json) ?? nameOf({ title: name })) : read(json)
    followed.delete(reference)
    return slot
  }

  function object(json: Json, name: string | undefined): Slot {
    const found = known.get(json)
    if (found) return found
    const rest = json.additionalProperties
    const properties = Object.entries(isJson(json.properties) ? json.properties : {})
    const isOpen = isJson(rest) || rest === true
    if (properties.length === 0) return { shape: isOpen ? { kind: 'map', of: read(rest) } : empty(json, name), nullable: false }
    // Names that are known and names that are not: no typed protocol has that.
    if (isOpen) return { shape: { kind: 'map', of: ANY }, nullable: false }
    const required = new Set(Array.isArray(json.required) ? json.required : [])
    const fields: Field[] = []
    const slot: Slot = { shape: { ...empty(json, name), fields }, nullable: false }
    known.set(json, slot)
    for (const [field, value] of properties) {
      fields.push({ ...read(value), name: field, required: required.has(field), description: textOf(value, 'description') })
    }
    return slot
  }

  return { read }
}

function empty(json: Json, name: string | undefined): ObjectShape {
  return { kind: 'object', name, description: textOf(json, 'description'), fields: [], closed: json.additionalProperties === false }
}

function plain(json: Json, read: (json: unknown) => Slot): Shape {
  switch (json.type ?? typeof json.const) {
    case 'string':
      return textShape(json)
    case 'integer':
      return { kind: 'integer', minimum: numberOf(json, 'minimum', -Infinity), maximum: numberOf(json, 'maximum', Infinity) }
    case 'number':
      return { kind: 'number' }
    case 'boolean':
      return { kind: 'boolean' }
    case 'array':
      return json.prefixItems ? { kind: 'any' } : { kind: 'list', of: read(json.items) }
    default:
      return { kind: 'any' }
  }
}

function textShape(json: Json): Shape {
  const values = Array.isArray(json.enum) ? json.enum : 'const' in json ? [json.const] : []
  return values.length > 0 && values.every((value) => typeof value === 'string') ? { kind: 'text', values } : { kind: 'text' }
}

/** `X or null` without the null; `undefined` for everything else. */
function nullableOf(json: Json): Json | undefined {
  const { type, anyOf, ...rest } = json
  if (Array.isArray(type) && type.length === 2 && type.includes('null')) return { ...rest, type: type.find((each) => each !== 'null') }
  if (!Array.isArray(anyOf) || anyOf.length !== 2) return undefined
  const other: unknown = anyOf.find((each) => !(isJson(each) && each.type === 'null'))
  return anyOf.some((each) => isJson(each) && each.type === 'null') && isJson(other) ? other : undefined
}

function nameOf(json: Json): string | undefined {
  const name = textOf(json, 'title') ?? textOf(json, 'id')
  return name !== undefined && /^[A-Z][A-Za-z0-9]*$/.test(name) ? name : undefined
}

function textOf(json: unknown, name: string): string | undefined {
  const value = isJson(json) ? json[name] : undefined
  return typeof value === 'string' ? value : undefined
}

function numberOf(json: Json, name: string, otherwise: number): number {
  const value = json[name]
  return typeof value === 'number' ? value : otherwise
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
