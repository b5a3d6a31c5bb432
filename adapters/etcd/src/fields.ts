/** A field of an object that came from outside, `undefined` for anything else. */
export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return Object.getOwnPropertyDescriptor(value, name)?.value
}

/** A text; empty when it is none. */
export function textOf(value: unknown, name: string): string {
  const field = fieldOf(value, name)
  return typeof field === 'string' ? field : ''
}

/** A list; empty when it is none. */
export function listOf(value: unknown, name: string): readonly unknown[] {
  const field = fieldOf(value, name)
  return Array.isArray(field) ? field : []
}

/** A whole number: etcd's JSON has them as texts, since they may be longer than JavaScript's. 0 when there is none. */
export function integerOf(value: unknown, name: string): number {
  const integer = Number(fieldOf(value, name))
  return Number.isSafeInteger(integer) ? integer : 0
}
