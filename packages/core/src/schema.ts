import type { StandardSchemaV1 } from '@standard-schema/spec'

/**
 * Any validator that speaks Standard Schema: zod, valibot, arktype and others.
 *
 * @see https://standardschema.dev
 */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>

/** What a schema accepts. */
export type InputOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferInput<S> : never

/** What a schema gives back. */
export type OutputOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : never

/** One thing that is wrong with a value. */
export interface Issue {
  /** Where: `items.0.quantity`; empty for the whole. */
  readonly path: string
  readonly message: string
}

export type Validation<Output> = { readonly ok: true; readonly value: Output } | { readonly ok: false; readonly issues: readonly Issue[] }

/** Checks `value`. */
export async function validate<S extends Schema>(schema: S, value: unknown): Promise<Validation<OutputOf<S>>> {
  const result = await schema['~standard'].validate(value)
  if (result.issues) return { ok: false, issues: result.issues.map(toIssue) }
  return { ok: true, value: result.value as OutputOf<S> }
}

/** The issues as one line: `items.0.quantity: expected a number > 0; total: is missing`. */
export function describeIssues(issues: readonly Issue[]): string {
  return issues.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ')
}

function toIssue(issue: StandardSchemaV1.Issue): Issue {
  const path = (issue.path ?? []).map((segment) => String(typeof segment === 'object' ? segment.key : segment)).join('.')
  return { path, message: issue.message }
}
