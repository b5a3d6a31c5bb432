import type { ObjectShape, Shape, Slot, TextShape } from '@banyan/service/internal'
import {
  GraphQLBoolean,
  GraphQLEnumType,
  GraphQLFloat,
  GraphQLInputObjectType,
  type GraphQLInputType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLScalarType,
  GraphQLString,
} from 'graphql'
import { GraphqlError } from './errors.ts'
import { Json, SafeInt } from './scalars.ts'

/** Makes the types of one GraphQL schema out of shapes, each name once. */
export interface TypeMaker {
  /** @param place the name of a type that has none of its own */
  output(shape: Shape, place: string): OutputType
  input(shape: Shape, place: string): InputType
}

/** Types as they are before somebody says that they are never null. */
export type OutputType = GraphQLScalarType | GraphQLEnumType | GraphQLObjectType | GraphQLList<GraphQLOutputType>
export type InputType = GraphQLScalarType | GraphQLEnumType | GraphQLInputObjectType | GraphQLList<GraphQLInputType>

const MAX_INT = 2 ** 31 - 1

/** Creates a {@link TypeMaker}. */
export function typeMaker(): TypeMaker {
  const outputs = register<GraphQLObjectType>()
  const inputs = register<GraphQLInputObjectType>()
  const enums = register<GraphQLEnumType>()

  function output(shape: Shape, place: string): OutputType {
    if (shape.kind === 'list') return new GraphQLList(present(shape.of, output(shape.of.shape, `${place}Item`)))
    if (shape.kind !== 'object' || !isNamable(shape)) return leaf(shape, place)
    const { name = place, description, fields } = shape
    return outputs.of(name, shape, (type) => new GraphQLObjectType({ name: type, ...described(description), fields: () => fieldsOf(type) }))

    function fieldsOf(type: string) {
      return Object.fromEntries(
        fields.map((field) => {
          const made = output(field.shape, type + capital(field.name))
          return [field.name, { type: field.required ? present(field, made) : made, ...described(field.description) }]
        }),
      )
    }
  }

  function input(shape: Shape, place: string): InputType {
    if (shape.kind === 'list') return new GraphQLList(presentInput(shape.of, input(shape.of.shape, `${place}Item`)))
    if (shape.kind !== 'object' || !isNamable(shape)) return leaf(shape, place)
    const { name = place, description, fields } = shape
    return inputs.of(
      name.endsWith('Input') ? name : `${name}Input`,
      shape,
      (type) => new GraphQLInputObjectType({ name: type, ...described(description), fields: () => fieldsOf(type) }),
    )

    function fieldsOf(type: string) {
      return Object.fromEntries(
        fields.map((field) => {
          const made = input(field.shape, type.replace(/Input$/, '') + capital(field.name))
          return [field.name, { type: field.required ? presentInput(field, made) : made, ...described(field.description) }]
        }),
      )
    }
  }

  /** What has no fields that GraphQL could select. */
  function leaf(shape: Exclude<Shape, { kind: 'list' }>, place: string): GraphQLScalarType | GraphQLEnumType {
    switch (shape.kind) {
      case 'text':
        return text(shape, place)
      case 'integer':
        return shape.minimum >= -MAX_INT && shape.maximum <= MAX_INT ? GraphQLInt : SafeInt
      case 'number':
        return GraphQLFloat
      case 'boolean':
        return GraphQLBoolean
      default:
        return Json
    }
  }

  function text(shape: TextShape, place: string): GraphQLScalarType | GraphQLEnumType {
    const { values = [] } = shape
    if (values.length === 0 || !values.every(isEnumValue)) return GraphQLString
    return enums.of(
      place,
      shape,
      (name) => new GraphQLEnumType({ name, values: Object.fromEntries(values.map((value) => [value, { value }])) }),
    )
  }

  return { output, input }
}

/** Types by name; another shape under a name that is taken is refused. */
function register<T>() {
  const made = new Map<string, { readonly type: T; readonly signature: string }>()
  return {
    of(name: string, shape: Shape, make: (name: string) => T): T {
      const signature = signatureOf(shape, new Set())
      const known = made.get(name)
      if (known?.signature === signature) return known.type
      if (known) {
        const message = `cannot make a GraphQL schema: two schemas of different fields become the type "${name}"; give one a title of its own`
        throw new GraphqlError('ERR_GRAPHQL_CONTRACT', message)
      }
      const type = make(name)
      made.set(name, { type, signature })
      return type
    },
  }
}

function signatureOf(shape: Shape, within: ReadonlySet<Shape>): string {
  if (within.has(shape)) return '*'
  const inner = new Set([...within, shape])
  if (shape.kind === 'list' || shape.kind === 'map') return `${shape.kind}(${signatureOf(shape.of.shape, inner)}${shape.of.nullable})`
  if (shape.kind === 'text') return `text(${shape.values?.join('|') ?? ''})`
  if (shape.kind !== 'object') return JSON.stringify(shape)
  return `{${shape.fields.map((field) => `${field.name}:${field.required}${field.nullable}${signatureOf(field.shape, inner)}`).join()}}`
}

/** GraphQL has no objects without fields, and names of letters, digits and `_` alone. */
export function isNamable({ fields }: ObjectShape): boolean {
  return fields.length > 0 && fields.every(({ name }) => isName(name))
}

/** Whether a name can stand in a GraphQL schema. */
export function isName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !name.startsWith('__')
}

function isEnumValue(value: string): boolean {
  return isName(value) && !['true', 'false', 'null'].includes(value)
}

function present({ nullable }: Slot, type: OutputType): GraphQLOutputType {
  return nullable ? type : new GraphQLNonNull(type)
}

function presentInput({ nullable }: Slot, type: InputType): GraphQLInputType {
  return nullable ? type : new GraphQLNonNull(type)
}

function described(description: string | undefined): { description?: string } {
  return description === undefined ? {} : { description }
}

/** `createdAt` as the end of a type's name: `CreatedAt`. */
export function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1)
}
