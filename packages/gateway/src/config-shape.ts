/**
 * What a value in a configuration must look like. Shapes are plain data: the checker interprets them, and documents or a JSON
 * Schema can be written from them.
 */
export type Shape =
  | TextShape
  | IntegerShape
  | NumberShape
  | BooleanShape
  | ListShape
  | DictionaryShape
  | MapShape
  | EitherShape
  | PluginsShape

export interface TextShape {
  readonly kind: 'text'
  /** For people: `a path that starts with "/"`. */
  readonly wanted: string
  readonly matches?: (text: string) => boolean
  /** The only values allowed. */
  readonly oneOf?: readonly string[]
  /** No message says what it is. */
  readonly isSecret?: boolean
}

export interface IntegerShape {
  readonly kind: 'integer'
  readonly min: number
  readonly max: number
  /** The only values allowed. */
  readonly oneOf?: readonly number[]
}

export interface NumberShape {
  readonly kind: 'number'
  readonly min: number
  readonly max: number
}

export interface BooleanShape {
  readonly kind: 'boolean'
}

export interface ListShape {
  readonly kind: 'list'
  readonly of: Shape
  /** What one item is called in messages: `route`. */
  readonly item: string
  readonly min?: number
}

/** Keys are free, values alike. */
export interface DictionaryShape {
  readonly kind: 'dictionary'
  readonly of: Shape
  readonly item: string
  readonly key: TextShape
}

export interface MapShape<Keys extends string = string> {
  readonly kind: 'map'
  readonly keys: Readonly<Record<Keys, Field>>
  /** What must hold between the keys. Run when each key for itself is right. */
  readonly rules?: readonly Rule[]
}

/** One of several, told apart by their kind. */
export interface EitherShape {
  readonly kind: 'either'
  readonly of: readonly Shape[]
  readonly wanted: string
}

/** A list of plugins, each with the config of its own shape. */
export interface PluginsShape {
  readonly kind: 'plugins'
}

export interface Field {
  readonly shape: Shape
  readonly required?: boolean
  /** One line for documents and messages. */
  readonly about: string
}

/** Looks at a checked map and says what is wrong, and at which key. */
export type Rule = (value: Readonly<Record<string, unknown>>) => Broken | undefined

export interface Broken {
  /** The key it is about; left out, the whole. */
  readonly key?: string
  /** The item of that key's list, from 0. */
  readonly index?: number
  /** Completed by the place: `needs "service", "url" or "aggregate"` becomes `route 2 needs ...`. */
  readonly message: string
}

/** A text. */
export function text(wanted: string, matches?: (text: string) => boolean): TextShape {
  return { kind: 'text', wanted, ...(matches && { matches }) }
}

/** One of some words. */
export function oneOf(...words: readonly string[]): TextShape {
  return { kind: 'text', wanted: `one of ${words.join(', ')}`, oneOf: words }
}

/** A whole number. */
export function integer(min: number, max: number): IntegerShape {
  return { kind: 'integer', min, max }
}

/** One of some whole numbers. */
export function oneNumberOf(...numbers: readonly number[]): IntegerShape {
  return { kind: 'integer', min: Math.min(...numbers), max: Math.max(...numbers), oneOf: numbers }
}

/** A list. */
export function list(of: Shape, item: string, min = 0): ListShape {
  return { kind: 'list', of, item, min }
}
