import { type Api, isServedOver, messageOf, type Operation } from '@banyan/core'
import { type CallInput, queryShapeOf, type Shape, shapeOf } from '@banyan/service/internal'
import {
  type GraphQLArgumentConfig,
  GraphQLBoolean,
  type GraphQLFieldConfig,
  type GraphQLFieldConfigMap,
  GraphQLID,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
} from 'graphql'
import { GraphqlError } from './errors.ts'
import { capital, isName, type TypeMaker, typeMaker } from './type-maker.ts'

/** One operation as a field of Query or Mutation. */
export interface OperationField {
  /** `catalog.getProduct`. */
  readonly operationName: string
  readonly operation: Operation
}

/** Answers the field of an operation. */
export type ResolveOperation<Context> = (field: OperationField, input: CallInput, context: Context) => Promise<unknown>

/**
 * Makes a GraphQL schema of contracts: what can be read is a field of Query (GET), what changes something one of Mutation. Each field may be
 * null, so that one that fails leaves the others their answers.
 *
 * @throws {GraphqlError} `ERR_GRAPHQL_CONTRACT` for a contract without GraphQL, or names that fall together
 */
export function contractSchema<Context>(contracts: readonly Api[], resolve: ResolveOperation<Context>): GraphQLSchema {
  const types = typeMaker()
  const queries: GraphQLFieldConfigMap<unknown, Context> = {}
  const mutations: GraphQLFieldConfigMap<unknown, Context> = {}
  for (const api of contracts) {
    const operations = Object.entries(api.operations).filter(([, operation]) => isServedOver(operation, 'graphql'))
    if (operations.length === 0) throw contractError(`no operation of "${api.name}" has "graphql" among its protocols`)
    for (const [name, operation] of operations) {
      if (!isName(name)) throw contractError(`"${api.name}.${name}" is no name that GraphQL has`)
      if (queries[name] || mutations[name]) throw contractError(`two contracts have an operation "${name}"`)
      const fields = operation.method === 'GET' ? queries : mutations
      fields[name] = fieldOf(types, name, { operationName: `${api.name}.${name}`, operation }, resolve)
    }
  }
  // GraphQL cannot do without a query.
  if (Object.keys(queries).length === 0) {
    queries.mutationsOnly = { type: GraphQLBoolean, description: 'There is nothing to read here.', resolve: () => true }
  }
  return schemaOf(
    new GraphQLObjectType({ name: 'Query', fields: queries }),
    Object.keys(mutations).length > 0 ? new GraphQLObjectType({ name: 'Mutation', fields: mutations }) : null,
  )
}

/** The types that a schema has of itself, or that differ in kind alone, meet only here. */
function schemaOf(query: GraphQLObjectType, mutation: GraphQLObjectType | null): GraphQLSchema {
  try {
    return new GraphQLSchema({ query, mutation })
  } catch (error) {
    throw error instanceof GraphqlError ? error : contractError(messageOf(error), error)
  }
}

function fieldOf<Context>(
  types: TypeMaker,
  name: string,
  field: OperationField,
  resolve: ResolveOperation<Context>,
): GraphQLFieldConfig<unknown, Context> {
  const { operation, operationName } = field
  const { query, body, response } = operation
  const shapes = { query: query && queryShapeOf(query).shape, body: body && shapeOf(body, 'input').shape }
  const params = [...operation.path.matchAll(/\{([^}]+)\}/g)].map(([, param = '']) => param)
  const clash = params.find((param) => !isName(param) || ['query', 'body', 'idempotencyKey'].includes(param))
  if (clash !== undefined) throw contractError(`the path parameter "${clash}" of "${operationName}" cannot be an argument`)
  return {
    type: response ? types.output(shapeOf(response, 'output').shape, `${capital(name)}Result`) : GraphQLBoolean,
    ...descriptionOf(operation),
    args: argumentsOf(types, name, params, shapes, operation),
    resolve: (_, args, context) => resolve(field, inputOf(params, shapes, args), context),
  }
}

interface Shapes {
  readonly query: Shape | undefined
  readonly body: Shape | undefined
}

function argumentsOf(
  types: TypeMaker,
  name: string,
  params: readonly string[],
  { query, body }: Shapes,
  { idempotencyKey = 'none' }: Operation,
): Record<string, GraphQLArgumentConfig> {
  const key = 'Makes the call safe to repeat: new for each intent, the same when it is tried again.'
  const needsQuery = query?.kind === 'object' && query.fields.some(({ required }) => required)
  const queryType = query && types.input(query, `${capital(name)}Query`)
  return {
    ...Object.fromEntries(params.map((param) => [param, { type: new GraphQLNonNull(GraphQLID) }])),
    ...(queryType && { query: { type: needsQuery ? new GraphQLNonNull(queryType) : queryType } }),
    ...(body && { body: { type: new GraphQLNonNull(types.input(body, capital(name))) } }),
    ...(idempotencyKey === 'required' && { idempotencyKey: { type: new GraphQLNonNull(GraphQLString), description: key } }),
    ...(idempotencyKey === 'optional' && { idempotencyKey: { type: GraphQLString, description: key } }),
  }
}

function inputOf(params: readonly string[], shapes: Shapes, args: Readonly<Record<string, unknown>>): CallInput {
  const { idempotencyKey } = args
  return {
    params: Object.fromEntries(params.map((param) => [param, String(args[param])])),
    ...(shapes.query && { query: withoutNulls(shapes.query, args.query ?? undefined) }),
    ...(shapes.body && { body: withoutNulls(shapes.body, args.body) }),
    ...(typeof idempotencyKey === 'string' && { key: idempotencyKey }),
  }
}

/** To GraphQL a field that is null and one that is left out are much the same; to a schema only where it says so. */
function withoutNulls(shape: Shape, value: unknown): unknown {
  if (shape.kind === 'list' && Array.isArray(value)) return value.map((each) => withoutNulls(shape.of.shape, each))
  if (shape.kind !== 'object' || typeof value !== 'object' || value === null) return value
  const known = new Map(shape.fields.map((field) => [field.name, field]))
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, each]) => {
      const field = known.get(name)
      if (each === null && field && !field.nullable) return []
      return [[name, field ? withoutNulls(field.shape, each) : each]]
    }),
  )
}

function descriptionOf({ summary, response, refusals = [] }: Operation): { description?: string } {
  const parts = [
    ...(summary === undefined ? [] : [`${summary}.`]),
    ...(response ? [] : ['True when it is done.']),
    ...(refusals.length === 0 ? [] : [`Refuses with the code ${refusals.join(', ')}.`]),
  ]
  return parts.length === 0 ? {} : { description: parts.join(' ') }
}

function contractError(what: string, cause?: unknown): GraphqlError {
  return new GraphqlError('ERR_GRAPHQL_CONTRACT', `cannot make a GraphQL schema: ${what}`, { cause })
}
