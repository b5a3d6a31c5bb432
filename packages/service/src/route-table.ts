/** Finds what serves a method and a path. */
export interface RouteTable<T> {
  /** @throws {TypeError} when the method and path are taken */
  add(method: string, template: string, value: T): void
  match(method: string, path: string): Match<T>
}

export type Match<T> =
  | { readonly kind: 'found'; readonly value: T; readonly params: Readonly<Record<string, string>> }
  /** The path exists, for other methods. */
  | { readonly kind: 'method'; readonly allow: readonly string[] }
  | { readonly kind: 'none' }
  /** A percent sign without two hexadecimal digits behind, or bytes that are no UTF-8. */
  | { readonly kind: 'malformed' }

interface Node<T> {
  readonly fixed: Map<string, Node<T>>
  parameter: Node<T> | undefined
  readonly methods: Map<string, { readonly value: T; readonly names: readonly string[] }>
}

/** Routes by segments; a fixed segment goes before a parameter. `{id}` takes one segment that is not empty. */
export function routeTable<T>(): RouteTable<T> {
  const root = node<T>()
  return {
    add(method, template, value) {
      const names: string[] = []
      let at = root
      for (const segment of segmentsOf(template)) {
        const name = /^\{(.+)\}$/.exec(segment)?.[1]
        if (name !== undefined) names.push(name)
        at = name === undefined ? childOf(at, segment) : parameterOf(at)
      }
      if (at.methods.has(method)) throw new TypeError(`cannot serve ${method} ${template}: it is served already`)
      at.methods.set(method, { value, names })
    },
    match(method, path) {
      const segments = decode(path)
      if (!segments) return { kind: 'malformed' }
      const found: Found<T>[] = []
      collect(root, segments, 0, [], found)
      for (const { node, values } of found) {
        const route = node.methods.get(method)
        if (route) return { kind: 'found', value: route.value, params: zip(route.names, values) }
      }
      if (found.length === 0) return { kind: 'none' }
      return { kind: 'method', allow: [...new Set(found.flatMap(({ node }) => [...node.methods.keys()]))] }
    },
  }
}

function node<T>(): Node<T> {
  return { fixed: new Map(), parameter: undefined, methods: new Map() }
}

function childOf<T>(parent: Node<T>, segment: string): Node<T> {
  const known = parent.fixed.get(segment)
  if (known) return known
  const made = node<T>()
  parent.fixed.set(segment, made)
  return made
}

function parameterOf<T>(parent: Node<T>): Node<T> {
  parent.parameter ??= node()
  return parent.parameter
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1)
}

/** The segments of a path, decoded: as words of the contract, and as values of parameters. */
interface Segments {
  readonly words: readonly string[]
  readonly values: readonly string[]
}

function decode(path: string): Segments | undefined {
  const segments = segmentsOf(path)
  if (!path.includes('%')) return { words: segments, values: segments }
  try {
    return { words: segments.map(wordOf), values: segments.map(decodeURIComponent) }
  } catch {
    // Their only complaint is malformed encoding; the caller hears of it.
    return undefined
  }
}

/**
 * As the router of the app reads it, or there would be paths that lead around its middleware: `%40` is no `@`, as what is reserved is
 * another thing when it is encoded (RFC 3986, 2.2), and `%25` stays.
 */
function wordOf(segment: string): string {
  return decodeURI(segment.replaceAll('%25', '%2525'))
}

interface Found<T> {
  readonly node: Node<T>
  readonly values: readonly string[]
}

/** All nodes with methods that fit, the most specific first. */
function collect<T>(at: Node<T>, segments: Segments, depth: number, values: readonly string[], found: Found<T>[]): void {
  const word = segments.words[depth]
  if (word === undefined) {
    if (at.methods.size > 0) found.push({ node: at, values })
    return
  }
  const fixed = at.fixed.get(word)
  if (fixed) collect(fixed, segments, depth + 1, values, found)
  if (at.parameter && word !== '') collect(at.parameter, segments, depth + 1, [...values, segments.values[depth] ?? ''], found)
}

function zip(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
}
