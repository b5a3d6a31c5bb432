import type { FuncKeywordDefinition } from 'ajv'

/**
 * The keyword `uniqueItems` in a time that grows as the list does: Ajv's own compares lists and maps each with each, so that one long body could
 * hold the process for hours.
 *
 * @see JSON Schema 2020-12, validation, section 6.4.3
 */
export const uniqueItems: FuncKeywordDefinition = {
  keyword: 'uniqueItems',
  type: 'array',
  schemaType: 'boolean',
  error: { message: 'must NOT have duplicate items' },
  validate: (isWanted: boolean, items: readonly unknown[]) => !isWanted || new Set(items.map(canonical)).size === items.length,
}

/** The same text for values that are equal in JSON, and no other. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`)
  return `{${entries.sort().join(',')}}`
}
