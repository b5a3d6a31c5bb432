import { GraphQLError, GraphQLScalarType, Kind, print, type ValueNode } from 'graphql'

/** Whole numbers that JavaScript holds exactly: GraphQL's own Int ends at 2^31. */
export const SafeInt: GraphQLScalarType<number, number> = new GraphQLScalarType({
  name: 'SafeInt',
  description: 'A whole number between -(2^53 - 1) and 2^53 - 1.',
  serialize: safeInt,
  parseValue: safeInt,
  parseLiteral(node) {
    const value = node.kind === Kind.INT ? Number(node.value) : undefined
    if (value === undefined || !Number.isSafeInteger(value)) throw noSafeInt(print(node), node)
    return value
  },
})

/** Any JSON, where a schema says no more. */
export const Json: GraphQLScalarType = new GraphQLScalarType({
  name: 'JSON',
  description: 'Any JSON value.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  parseValue: (value) => value,
  parseLiteral: jsonOf,
})

function safeInt(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw noSafeInt(JSON.stringify(value) ?? String(value))
}

function noSafeInt(value: string, node?: ValueNode): GraphQLError {
  return new GraphQLError(`SafeInt cannot represent ${value}, wanted a whole number within 2^53`, node ? { nodes: node } : {})
}

function jsonOf(node: ValueNode, variables?: Readonly<Record<string, unknown>> | null): unknown {
  switch (node.kind) {
    case Kind.STRING:
    case Kind.BOOLEAN:
      return node.value
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value)
    case Kind.LIST:
      return node.values.map((value) => jsonOf(value, variables))
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, jsonOf(value, variables)]))
    case Kind.VARIABLE:
      return variables?.[node.name.value]
    case Kind.ENUM:
      throw new GraphQLError(`JSON cannot represent ${node.value}, wanted a text in quotes`)
    case Kind.NULL:
      return null
  }
}
