import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import { invalid, type OpenApiDocument } from './document.ts'
import { uniqueItems } from './unique-items.ts'

/** One thing that is wrong with a request. */
export interface Finding {
  /** `body`, `query`, `path`, `header` or `cookie`. */
  readonly in: string
  /** Where in the body, as a JSON pointer, or the name of the parameter. */
  readonly at: string
  readonly message: string
}

/** Says what is wrong with a value; empty for nothing. */
export type Check = (value: unknown) => readonly Finding[]

/** The schemas of a document, compiled as they are asked for. */
export interface Schemas {
  /**
   * @param where the JSON pointer of a schema in the document
   * @throws {GatewayError} `ERR_CONFIG_INVALID` for a schema that is none
   */
  body(where: string): Check
  /** Of a parameter: texts count as what the schema wants, where they say it. */
  parameter(where: string, place: string, name: string): Check
}

/** More findings help nobody. */
export const mostFindings = 20

const DOCUMENT = 'openapi:document'

/** A schema, compiled to find the first thing that is wrong with a value, and to find all. */
interface Validators {
  readonly first: ValidateFunction
  readonly all: ValidateFunction
}

/** Compiles the schemas of a document. Formats are notes, as JSON Schema 2020-12 has them. */
export function schemasOf({ file, root }: OpenApiDocument): Schemas {
  const settings = { strict: false, validateFormats: false, logger: false as const, addUsedSchema: false }
  const { $schema: _, ...others } = root
  const schema = { ...others, $id: DOCUMENT }
  const ajvWith = (more: object) => new Ajv2020({ ...settings, ...more }).removeKeyword('uniqueItems').addKeyword(uniqueItems)
  const both = (more: object) => ({ first: ajvWith(more), all: ajvWith({ ...more, allErrors: true }) })
  const asIs = both({})
  const coercing = both({ coerceTypes: true })

  /** @param put puts the schema at `where`, as a reference to it, into the one that is compiled */
  function compile(ajv: Ajv2020, where: string, put: (reference: object) => object): ValidateFunction {
    try {
      if (!ajv.getSchema(DOCUMENT)) ajv.addSchema(schema, DOCUMENT, true, false)
      return ajv.compile(put({ $ref: `${DOCUMENT}#${encodeURI(where)}` }))
    } catch (cause) {
      throw invalid(file, `the schema at ${where} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }

  function compileBoth({ first, all }: typeof asIs, where: string, put: (reference: object) => object): Validators {
    return { first: compile(first, where, put), all: compile(all, where, put) }
  }

  return {
    body(where) {
      const validators = compileBoth(asIs, where, (reference) => reference)
      return (value) =>
        findingsOf(
          validators,
          () => value,
          ({ instancePath }) => ({ in: 'body', at: shortened(instancePath) }),
        )
    },
    parameter(where, place, name) {
      // A text is replaced by what it stands for; that takes an object for it to stand in.
      const validators = compileBoth(coercing, where, (reference) => ({ type: 'object', properties: { value: reference } }))
      return (value) =>
        findingsOf(
          validators,
          () => ({ value }),
          () => ({ in: place, at: name }),
        )
    },
  }
}

function findingsOf(
  { first, all }: Validators,
  fresh: () => unknown,
  placeOf: (error: Pick<ErrorObject, 'instancePath'>) => Pick<Finding, 'in' | 'at'>,
): Finding[] {
  try {
    if (first(fresh())) return []
    // No limit of a schema bounds the search for all: of a list that breaks "maxItems", each item is looked at and complained of.
    const errors = isShort(fresh()) && !all(fresh()) ? all.errors : first.errors
    return (errors ?? []).slice(0, mostFindings).map((error) => ({ ...placeOf(error), message: messageOf(error) }))
  } catch (error) {
    // A schema that refers to itself follows a body down; how far is the stack's to say.
    if (error instanceof RangeError) return [{ ...placeOf({ instancePath: '' }), message: 'is nested too deep' }]
    throw error
  }
}

/** Whether a value is one of which all that is wrong is told: about a thousand values in it, and ten thousand characters. */
function isShort(value: unknown): boolean {
  const waiting = [value]
  for (let cost = 0; waiting.length > 0; ) {
    const one = waiting.pop()
    cost += 10 + (typeof one === 'string' ? one.length : 0)
    if (cost + 10 * waiting.length > 10_000) return false
    if (typeof one === 'object' && one !== null) for (const each of Object.values(one)) waiting.push(each)
  }
  return true
}

function messageOf({ keyword, message = 'is wrong', params }: ErrorObject): string {
  if (keyword === 'additionalProperties') return `has "${shortened(String(params.additionalProperty))}", which is not known`
  if (keyword === 'enum') return `${message}: ${JSON.stringify(params.allowedValues)}`
  return message
}

/** What a client wrote, in an answer to it: no reason to send megabytes back. */
function shortened(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`
}
