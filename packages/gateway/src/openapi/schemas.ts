import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import { invalid, type OpenApiDocument } from './document.ts'

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

/** Compiles the schemas of a document. Formats are notes, as JSON Schema 2020-12 has them. */
export function schemasOf({ file, root }: OpenApiDocument): Schemas {
  const settings = { strict: false, validateFormats: false, allErrors: true, logger: false as const, addUsedSchema: false }
  const { $schema: _, ...others } = root
  const schema = { ...others, $id: DOCUMENT }
  const asIs = new Ajv2020(settings)
  const coercing = new Ajv2020({ ...settings, coerceTypes: true })

  /** @param put puts the schema at `where`, as a reference to it, into the one that is compiled */
  function compile(ajv: Ajv2020, where: string, put: (reference: object) => object): ValidateFunction {
    try {
      if (!ajv.getSchema(DOCUMENT)) ajv.addSchema(schema, DOCUMENT, true, false)
      return ajv.compile(put({ $ref: `${DOCUMENT}#${encodeURI(where)}` }))
    } catch (cause) {
      throw invalid(file, `the schema at ${where} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }

  return {
    body(where) {
      const validate = compile(asIs, where, (reference) => reference)
      return (value) => findingsOf(validate, value, ({ instancePath }) => ({ in: 'body', at: instancePath }))
    },
    parameter(where, place, name) {
      // A text is replaced by what it stands for; that takes an object for it to stand in.
      const validate = compile(coercing, where, (reference) => ({ type: 'object', properties: { value: reference } }))
      return (value) => findingsOf(validate, { value }, () => ({ in: place, at: name }))
    },
  }
}

function findingsOf(validate: ValidateFunction, value: unknown, placeOf: (error: ErrorObject) => Pick<Finding, 'in' | 'at'>): Finding[] {
  try {
    if (validate(value)) return []
  } catch (error) {
    // A schema that refers to itself follows a body down; how far is the stack's to say.
    if (error instanceof RangeError) return [{ ...placeOf({ instancePath: '' } as ErrorObject), message: 'is nested too deep' }]
    throw error
  }
  return (validate.errors ?? []).slice(0, mostFindings).map((error) => ({ ...placeOf(error), message: messageOf(error) }))
}

function messageOf({ keyword, message = 'is wrong', params }: ErrorObject): string {
  if (keyword === 'additionalProperties') return `has "${String(params.additionalProperty)}", which is not known`
  if (keyword === 'enum') return `${message}: ${JSON.stringify(params.allowedValues)}`
  return message
}
