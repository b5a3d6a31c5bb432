import { type Alias, type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml'
import { type Environment, substitute } from './environment.ts'
import type { ConfigIssue, Position } from './errors.ts'

/** A configuration as a tree that remembers where everything stood. */
export type Tree = MapTree | ListTree | ScalarTree

interface Placed {
  /** Left out for a configuration that is no file. */
  readonly at?: Position
}

export interface MapTree extends Placed {
  readonly kind: 'map'
  readonly entries: readonly MapEntry[]
}

export interface MapEntry {
  readonly key: string
  readonly keyAt?: Position
  readonly value: Tree
}

export interface ListTree extends Placed {
  readonly kind: 'list'
  readonly items: readonly Tree[]
}

export interface ScalarTree extends Placed {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** It came from a variable, so that a text may stand for a number. */
  readonly fromVariable: boolean
}

/** Aliases could make a small file huge: so many values may come by them. */
const MAX_ALIASED = 100_000

/**
 * Reads YAML, with variables filled in: the documents of a file, which `---` parts, without empty ones. What is wrong goes to `issues`; then
 * the trees are not complete.
 */
export function treesOfYaml(text: string, env: Environment, issues: ConfigIssue[]): Tree[] {
  const lines = new LineCounter()
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  // Of an empty text it gives an empty list with members of a document.
  const documents: readonly Document[] = [...parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })]
  for (const { message, pos } of documents.flatMap(({ errors }) => errors))
    issues.push({ at: at(pos[0]), message: `not valid YAML: ${message.replace(/\s+/g, ' ')}` })
  if (issues.length > 0) return []
  return documents.flatMap((document) => treeOfDocument(document, at, env, issues) ?? [])
}

function treeOfDocument(document: Document, at: (offset: number) => Position, env: Environment, issues: ConfigIssue[]): Tree | undefined {
  // An empty document has nothing, or a null that nobody wrote.
  const { contents } = document
  if (!isNode(contents) || (isScalar(contents) && contents.value === null)) return undefined
  let aliased = 0
  let aliasDepth = 0
  let isTold = false
  const inside: Node[] = []

  function walk(node: Node): Tree {
    const place = { at: at(node.range?.[0] ?? 0) }
    if (aliasDepth > 0) aliased += 1
    if (aliased > MAX_ALIASED || inside.includes(node)) {
      if (!isTold) issues.push({ ...place, message: 'the aliases make the file too large or endless' })
      isTold = true
      return { kind: 'scalar', value: null, fromVariable: false, ...place }
    }
    inside.push(node)
    const tree = convert(node, place)
    inside.pop()
    return tree
  }

  function convert(node: Node, place: { at: Position }): Tree {
    if (isAlias(node)) return resolve(node, place)
    if (isSeq<Node>(node)) return { kind: 'list', items: node.items.map(walk), ...place }
    if (isMap<Node, Node | null>(node)) {
      const entries = node.items.map(({ key, value }): MapEntry => {
        const keyAt = at(key.range?.[0] ?? 0)
        const name = isScalar(key) ? String(key.value) : String(key)
        return { key: name, keyAt, value: value ? walk(value) : { kind: 'scalar', value: null, fromVariable: false, at: keyAt } }
      })
      return { kind: 'map', entries, ...place }
    }
    return scalar(isScalar(node) ? node.value : null, place, env, issues)
  }

  function resolve(alias: Alias, place: { at: Position }): Tree {
    const target = alias.resolve(document)
    if (target) {
      aliasDepth += 1
      const tree = walk(target)
      aliasDepth -= 1
      return tree
    }
    issues.push({ ...place, message: `the alias "${alias.source}" refers to nothing` })
    return { kind: 'scalar', value: null, fromVariable: false, ...place }
  }

  return walk(contents)
}

/** The tree of a plain value, as of `defineGateway`. Keys that are `undefined` count as left out. */
export function treeOfValue(value: unknown): Tree {
  if (Array.isArray(value)) return { kind: 'list', items: value.map(treeOfValue) }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined)
    return { kind: 'map', entries: entries.map(([key, each]) => ({ key, value: treeOfValue(each) })) }
  }
  const plain =
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : value == null ? null : String(value)
  return { kind: 'scalar', value: plain, fromVariable: false }
}

/** A tree that stands, with all that is in it, at one place. */
export function placed(tree: Tree, at: Position): Tree {
  if (tree.kind === 'scalar') return { ...tree, at }
  if (tree.kind === 'list') return { ...tree, at, items: tree.items.map((item) => placed(item, at)) }
  return { ...tree, at, entries: tree.entries.map(({ key, value }) => ({ key, keyAt: at, value: placed(value, at) })) }
}

/** What stands under a key of a map. */
export function entryOf(tree: Tree | undefined, wanted: string): Tree | undefined {
  return tree?.kind === 'map' ? tree.entries.find(({ key }) => key === wanted)?.value : undefined
}

/** The plain value of a tree. */
export function plainOf(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value
  if (tree.kind === 'list') return tree.items.map(plainOf)
  return Object.fromEntries(tree.entries.map(({ key, value }) => [key, plainOf(value)]))
}

function scalar(value: unknown, place: { at: Position }, env: Environment, issues: ConfigIssue[]): ScalarTree {
  if (typeof value !== 'string') {
    const plain = typeof value === 'number' || typeof value === 'boolean' ? value : value == null ? null : String(value)
    return { kind: 'scalar', value: plain, fromVariable: false, ...place }
  }
  const result = substitute(value, env)
  if ('wrong' in result) {
    issues.push({ ...place, message: result.wrong })
    // A value of no type: it is wrong already, and what it should have been is not known.
    return { kind: 'scalar', value: UNKNOWN, fromVariable: true, ...place }
  }
  return { kind: 'scalar', value: result.text, fromVariable: result.changed, ...place }
}

/** Stands in for a value whose variable is missing; the check says nothing more about it. */
export const UNKNOWN = '\0unknown'
