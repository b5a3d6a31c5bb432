import { type Logger, messageOf } from '@banyan/core'
import { type GraphQLError, type GraphQLSchema, NoSchemaIntrospectionCustomRule, parse, type ValidationRule, validate } from 'graphql'
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga'
import { requestError } from './errors.ts'

export interface YogaServerOptions {
  schema: GraphQLSchema
  path: string
  introspection: boolean
  limits: ValidationRule
  maxTokens: number
  /** 1: no batches. */
  maxBatch: number
  log: Logger
}

/** How many things that are wrong with one document are said. */
const MAX_ERRORS = 20

/** Yoga with everything off that a service does not need: CORS, uploads, GraphiQL, landing page, GET. */
export function yogaServer<Context extends Record<string, unknown>>(
  options: YogaServerOptions,
): YogaServerInstance<Context, Record<string, unknown>> {
  const { schema, path, maxBatch, log } = options
  return createYoga<Context>({
    schema,
    graphqlEndpoint: path,
    plugins: [parsing(options), validating(options), executing(options)],
    batching: maxBatch > 1 ? { limit: maxBatch } : false,
    maskedErrors: { isDev: false, maskError: (error) => masked(error, log) },
    logging: quiet(log),
    ...{ cors: false, graphiql: false, landingPage: false, multipart: false },
    fetchAPI: { Request, Response, Headers, URL, ReadableStream, TextDecoder, TextEncoder },
  })
}

function parsing({ maxTokens }: YogaServerOptions): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn((source, parseOptions) => {
        try {
          return parse(source, { ...parseOptions, maxTokens })
        } catch (error) {
          throw coded(error as GraphQLError)
        }
      })
    },
  }
}

function validating({ introspection, limits }: YogaServerOptions): Plugin {
  return {
    onValidate({ addValidationRule, setValidationFn }) {
      if (!introspection) addValidationRule(NoSchemaIntrospectionCustomRule)
      // "Did you mean" would tell the schema that introspection does not.
      const settings = { maxErrors: MAX_ERRORS, hideSuggestions: !introspection }
      setValidationFn((schema, document, rules) => {
        // First: a rule of GraphQL's own compares fields of one name each with each, half a second for 2,000 words.
        const beyond = validate(schema, document, [limits], settings)
        return (beyond.length > 0 ? beyond : validate(schema, document, rules, settings)).map(coded)
      })
    },
  }
}

/** Variables are looked at only here. */
function executing({ introspection }: YogaServerOptions): Plugin {
  return {
    onExecute({ args }) {
      // Its type has no word for it yet.
      Object.assign(args, { hideSuggestions: !introspection })
    },
  }
}

/** What GraphQL or Yoga refuses by itself has code and status too, and ours: theirs differ with who refuses. */
function coded(error: GraphQLError): GraphQLError {
  const { path, extensions } = error
  // An error of a field is a problem, whose code may be a refusal's reason.
  if (path === undefined && !String(extensions.code).startsWith('ERR_')) {
    extensions.code = 'ERR_REQUEST_INVALID'
    delete extensions.originalError
  }
  extensions.code ??= 'ERR_REQUEST_INVALID'
  extensions.status ??= 400
  return error
}

/** Of what nobody foresaw the caller learns nothing. */
function masked(error: unknown, log: Logger): Error {
  const known = error as { extensions?: Record<string, unknown>; originalError?: unknown; name?: string }
  const isForeseen = known?.name === 'GraphQLError' && (!known.originalError || isGraphqls(known.originalError))
  if (isForeseen) return coded(error as GraphQLError)
  log.error({ error }, `a GraphQL request failed: ${messageOf(error)}`)
  return requestError('the service failed on this request; its log has the details', 'ERR_INTERNAL', 500)
}

/** A value that does not fit its type is wrapped once more by GraphQL. */
function isGraphqls(error: unknown): boolean {
  return error instanceof Error && error.name === 'GraphQLError'
}

/** What yoga has to say of itself is for who looks for a defect. */
function quiet(log: Logger) {
  const debug = (...parts: unknown[]) => log.debug({}, `yoga: ${parts.map(messageOf).join(' ')}`)
  return { debug, info: debug, warn: debug, error: debug }
}
