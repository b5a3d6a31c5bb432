import { type Schema, type Validation, validate } from '@banyan/core'

/**
 * Checks `value`, at once where the schema does: a promise for each check of each request is what a service would spend much of its
 * time on.
 */
export function checked(schema: Schema, value: unknown): Validation<unknown> | Promise<Validation<unknown>> {
  const result = schema['~standard'].validate(value)
  if (!(result instanceof Promise) && !result.issues) return { ok: true, value: result.value }
  // The words for what is wrong are core's; the schema itself is not asked twice.
  return validate({ '~standard': { version: 1, vendor: 'banyan', validate: () => result } }, value)
}
