import { configShape } from './config-schema.ts'
import type { Field, MapShape, Shape } from './config-shape.ts'
import { plugins as builtIn, type PluginTable } from './plugins/table.ts'

/**
 * The gateway file as a JSON Schema, for editors, written from the shapes that check it. What only a rule knows (a route has one target) is
 * not in it: `banyan gateway check` has the last word.
 *
 * @see https://json-schema.org/draft/2020-12
 */
export function configJsonSchema(plugins: PluginTable = {}): object {
  const shapes = Object.fromEntries(Object.entries({ ...builtIn, ...plugins }).map(([name, { config }]) => [name, config]))
  const file = schemaOf(configShape(shapes), shapes)
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Banyan gateway file', ...file }
}

type PluginShapes = Readonly<Record<string, MapShape>>

function schemaOf(shape: Shape, plugins: PluginShapes): object {
  switch (shape.kind) {
    case 'text':
      return shape.oneOf ? orVariable({ enum: shape.oneOf }) : { type: 'string', description: shape.wanted }
    case 'integer':
      return orVariable(shape.oneOf ? { enum: shape.oneOf } : { type: 'integer', minimum: shape.min, maximum: shape.max })
    case 'number':
      return orVariable({ type: 'number', minimum: shape.min, maximum: shape.max })
    case 'boolean':
      return orVariable({ type: 'boolean' })
    case 'list':
      return { type: 'array', items: schemaOf(shape.of, plugins), ...(shape.min !== undefined && { minItems: shape.min }) }
    case 'dictionary':
      return { type: 'object', additionalProperties: schemaOf(shape.of, plugins) }
    case 'map':
      return mapSchema(shape, plugins)
    case 'either':
      return { anyOf: shape.of.map((one) => schemaOf(one, plugins)), description: shape.wanted }
    case 'plugins':
      return {
        type: 'array',
        items: { anyOf: [...Object.entries(plugins).map(([name, config]) => pluginSchema(name, config, plugins)), OWN_PLUGIN] },
      }
  }
}

/** A variable stands for any value: `${PORT:-8080}`. */
function orVariable(schema: object): object {
  return { anyOf: [schema, { type: 'string', pattern: '\\$\\{' }] }
}

function mapSchema({ keys }: MapShape, plugins: PluginShapes): object {
  const fields: [string, Field][] = Object.entries(keys)
  const required = fields.filter(([, field]) => field.required).map(([key]) => key)
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map(([key, { shape, about }]) => [key, { ...schemaOf(shape, plugins), description: about }])),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  }
}

function pluginSchema(name: string, config: MapShape, plugins: PluginShapes): object {
  // What a plugin needs may stand at the top of the file.
  const { required: _, ...own } = mapSchema(config, plugins) as { required?: readonly string[] }
  return { type: 'object', properties: { name: { const: name }, config: own }, required: ['name'], additionalProperties: false }
}

/** A plugin of a program of one's own has a colon in its name. */
const OWN_PLUGIN = {
  type: 'object',
  properties: { name: { type: 'string', pattern: ':' }, config: { type: 'object' } },
  required: ['name'],
  additionalProperties: false,
}
