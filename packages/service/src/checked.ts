import { type Schema, type Validation, validate } from '@banyan/core'

/**
 * Checks `value`, at once where the schema does: a promise for each check of each request is what a service would spend much of its
 * time on.
 */
export function checked(schema: Schema, value: unknown): Validation<unknown> | Promise<Validation<unknown>> {
  const result = schema['~standard'].validate(value)
  // What has no value is something to wait for, also where it is no promise of this realm; taken for a good answer it would let all pass.
  if (!(result instanceof Promise) && !result.issues && 'value' in result) return { ok: true, value: result.value }
  // The words for what is wrong are core's; the schema itself is not asked twice.
  return validate({ '~standard': { version: 1, vendor: 'banyan', validate: () => result } }, value)
}
