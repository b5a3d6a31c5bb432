import { nearest, withoutPassword } from '@banyan/core'
import type { Broken, DictionaryShape, ListShape, MapShape, Shape, TextShape } from './config-shape.ts'
import { type MapTree, plainOf, type ScalarTree, type Tree, UNKNOWN } from './config-tree.ts'
import type { ConfigIssue, Position } from './errors.ts'

/** What the checker needs besides tree and shape. */
export interface CheckContext {
  readonly issues: ConfigIssue[]
  /** The shape of each plugin's config. */
  readonly plugins: Readonly<Record<string, MapShape>>
  /** What a plugin's config takes over from the top of the file, by the plugin's name. */
  defaults: Readonly<Record<string, unknown>>
}

/**
 * Checks a tree against a shape, and gives back its plain value. All that is wrong goes to `issues`, in the order of the file;
 * then the value is not to be used.
 *
 * @param place what is checked, for people: `route 2`
 */
export function check(tree: Tree, shape: Shape, place: string, context: CheckContext): unknown {
  if (tree.kind === 'scalar' && tree.value === UNKNOWN) return undefined
  switch (shape.kind) {
    case 'map':
      return checkMap(tree, shape, place, context)
    case 'list':
      return checkList(tree, shape, place, context)
    case 'dictionary':
      return checkDictionary(tree, shape, place, context)
    case 'plugins':
      return checkPlugins(tree, place, context)
    case 'either': {
      const fitting = shape.of.find((each) => sameKind(tree, each))
      return fitting ? check(tree, fitting, place, context) : wrong(tree, place, shape.wanted, context)
    }
    default:
      return checkScalar(tree, shape, place, context)
  }
}

function checkMap(
  tree: Tree,
  shape: MapShape,
  place: string,
  context: CheckContext,
  defaults: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const value: Record<string, unknown> = { ...defaults }
  if (tree.kind !== 'map') {
    wrong(tree, place, `keys and values: ${Object.keys(shape.keys).join(', ')}`, context)
    return value
  }
  const before = context.issues.length
  for (const { key, keyAt, value: each } of tree.entries) {
    const field = Object.hasOwn(shape.keys, key) ? shape.keys[key] : undefined
    if (!field) report(context, keyAt, unknownKey(key, Object.keys(shape.keys), place))
    else value[key] = check(each, field.shape, placeOf(key, place, field.shape), context)
  }
  for (const key of requiredKeys(shape)) {
    if (!(key in value)) report(context, tree.at, `${place} needs "${key}": ${shape.keys[key]?.about}`)
  }
  if (context.issues.length === before) applyRules(tree, shape, value, place, context)
  return value
}

/** Few of many, and asked for of each route of a file that may have thousands. */
const required = new WeakMap<MapShape, readonly string[]>()

function requiredKeys(shape: MapShape): readonly string[] {
  const known = required.get(shape)
  if (known) return known
  const keys = Object.keys(shape.keys).filter((key) => shape.keys[key]?.required)
  required.set(shape, keys)
  return keys
}

function applyRules(tree: MapTree, shape: MapShape, value: Record<string, unknown>, place: string, context: CheckContext): void {
  for (const rule of shape.rules ?? []) {
    const broken: Broken | undefined = rule(value)
    if (!broken) continue
    const entry = tree.entries.find(({ key }) => key === broken.key)
    const item = entry?.value.kind === 'list' && broken.index !== undefined ? entry.value.items[broken.index] : undefined
    report(context, item?.at ?? entry?.keyAt ?? tree.at, `${place} ${broken.message}`)
  }
}

function checkList(tree: Tree, shape: ListShape, place: string, context: CheckContext): unknown {
  if (tree.kind !== 'list') return wrong(tree, place, `a list of ${shape.item}s, as in [...]`, context)
  if (tree.items.length < (shape.min ?? 0)) report(context, tree.at, `${place} is empty; wanted at least ${shape.min} ${shape.item}`)
  return tree.items.map((item, index) => check(item, shape.of, itemPlace(shape.item, index, place), context))
}

function checkDictionary(tree: Tree, shape: DictionaryShape, place: string, context: CheckContext): unknown {
  if (tree.kind !== 'map') return wrong(tree, place, `a name and its values for each ${shape.item}`, context)
  if (tree.entries.length === 0) report(context, tree.at, `${place} is empty; wanted at least one ${shape.item}`)
  return Object.fromEntries(
    tree.entries.map(({ key, keyAt, value }) => {
      if (shape.key.matches?.(key) === false)
        report(context, keyAt, `"${key}" in ${place} cannot name a ${shape.item}; wanted ${shape.key.wanted}`)
      return [key, check(value, shape.of, `${shape.item} "${key}" of ${place.replace(/^"[^"]*" of /, '')}`, context)]
    }),
  )
}

function checkPlugins(tree: Tree, place: string, context: CheckContext): unknown {
  if (tree.kind !== 'list') return wrong(tree, place, 'a list of plugins, as in [{ name: jwt }]', context)
  return tree.items.map((item, index) => checkPlugin(item, `plugin ${index + 1} of ${place.replace(/^"plugins" of /, '')}`, context))
}

function checkPlugin(tree: Tree, place: string, context: CheckContext): unknown {
  if (tree.kind !== 'map') return wrong(tree, place, 'a name and perhaps a config, as in { name: jwt }', context)
  for (const { key, keyAt } of tree.entries) {
    if (key !== 'name' && key !== 'config') report(context, keyAt, unknownKey(key, ['name', 'config'], place))
  }
  const nameTree = tree.entries.find(({ key }) => key === 'name')?.value
  if (!nameTree) return report(context, tree.at, `${place} needs "name": one of ${Object.keys(context.plugins).join(', ')}`)
  const name = String(plainOf(nameTree))
  const shape = Object.hasOwn(context.plugins, name) ? context.plugins[name] : undefined
  if (!shape)
    return report(context, nameTree.at, `unknown plugin "${name}" as ${place}${hint(name, Object.keys(context.plugins), 'known plugins')}`)
  const given = tree.entries.find(({ key }) => key === 'config')?.value
  const isEmpty = !given || (given.kind === 'scalar' && given.value === null)
  const configTree: Tree = isEmpty ? { kind: 'map', entries: [], ...(tree.at && { at: tree.at }) } : given
  const defaults = context.defaults[name]
  const inherited = typeof defaults === 'object' && defaults !== null ? (defaults as Record<string, unknown>) : {}
  const pluginPlace = `the config of plugin "${name}" of ${place.replace(/^plugin \d+ of /, '')}`
  return { name, config: checkMap(configTree, shape, pluginPlace, context, inherited) }
}

function checkScalar(
  tree: Tree,
  shape: Exclude<Shape, { kind: 'map' | 'list' | 'dictionary' | 'plugins' | 'either' }>,
  place: string,
  context: CheckContext,
): unknown {
  if (shape.kind === 'boolean') {
    const value = tree.kind === 'scalar' ? booleanOf(tree) : undefined
    return value ?? wrong(tree, place, 'true or false', context)
  }
  if (shape.kind === 'text') return checkText(tree, shape, place, context)
  const value = tree.kind === 'scalar' ? numberOf(tree) : undefined
  const fits = value !== undefined && value >= shape.min && value <= shape.max && (shape.kind === 'number' || Number.isInteger(value))
  const numbers = shape.kind === 'integer' ? shape.oneOf : undefined
  if (fits && (numbers?.includes(value) ?? true)) return value
  if (numbers) return wrong(tree, place, `one of ${numbers.join(', ')}`, context)
  const what = shape.kind === 'integer' ? 'a whole number' : 'a number'
  return wrong(tree, place, `${what} from ${shape.min} to ${shape.max}`, context)
}

function checkText(tree: Tree, shape: TextShape, place: string, context: CheckContext): unknown {
  const value = tree.kind === 'scalar' && typeof tree.value === 'string' ? tree.value : undefined
  const wrongAs = (said: string) => report(context, tree.at, `${place} is ${said}, wanted ${shape.wanted}`)
  if (value === undefined) return wrongAs(shape.isSecret ? 'no text' : describe(tree))
  if (shape.oneOf && !shape.oneOf.includes(value)) {
    const near = nearest(value, shape.oneOf)
    return wrong(tree, place, near ? `${shape.wanted}; did you mean "${near}"?` : shape.wanted, context)
  }
  if (shape.matches?.(value) !== false) return value
  return wrongAs(shape.isSecret ? `a text of ${value.length} characters` : describe(tree))
}

function numberOf({ value, fromVariable }: ScalarTree): number | undefined {
  if (typeof value === 'number') return value
  return fromVariable && typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : undefined
}

function booleanOf({ value, fromVariable }: ScalarTree): boolean | undefined {
  if (typeof value === 'boolean') return value
  return fromVariable && (value === 'true' || value === 'false') ? value === 'true' : undefined
}

function sameKind(tree: Tree, shape: Shape): boolean {
  if (tree.kind === 'list') return shape.kind === 'list'
  if (tree.kind === 'map') return shape.kind === 'map' || shape.kind === 'dictionary'
  if (shape.kind === 'integer' || shape.kind === 'number') return numberOf(tree) !== undefined
  if (shape.kind === 'boolean') return booleanOf(tree) !== undefined
  return shape.kind === 'text' && typeof tree.value === 'string'
}

function placeOf(key: string, place: string, shape: Shape): string {
  // "the config of plugin ..." says more than "config of ...".
  return shape.kind === 'map' && place === 'the file' ? `"${key}"` : `"${key}" of ${place}`
}

/** `route 2`; `method 1 in "methods" of route 2`. */
function itemPlace(item: string, index: number, place: string): string {
  return place === '"routes" of the file' ? `${item} ${index + 1}` : `${item} ${index + 1} in ${place}`
}

function wrong(tree: Tree, place: string, wanted: string, context: CheckContext): undefined {
  report(context, tree.at, `${place} is ${describe(tree)}, wanted ${wanted}`)
}

function describe(tree: Tree): string {
  if (tree.kind === 'map') return 'a map'
  if (tree.kind === 'list') return 'a list'
  if (tree.value === null) return 'empty'
  // An address may have a password.
  return typeof tree.value === 'string' ? withoutPassword(JSON.stringify(tree.value)) : String(tree.value)
}

function unknownKey(key: string, known: readonly string[], place: string): string {
  return `unknown key "${key}" in ${place}${hint(key, known, 'known keys')}`
}

function hint(word: string, known: readonly string[], label: string): string {
  const near = nearest(word, known)
  return near ? `; did you mean "${near}"?` : `; ${label}: ${known.join(', ')}`
}

function report(context: CheckContext, at: Position | undefined, message: string): undefined {
  context.issues.push(at ? { at, message } : { message })
}
