// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// Answer contracts over GraphQL
export { graphql } from './graphql.ts'
export type { GraphqlOptions } from './graphql.ts'

// The schema of contracts
export { schemaText } from './schema-text.ts'

// What goes wrong
export { GraphqlError } from './errors.ts'
export type { ErrorExtensions, GraphqlErrorCode } from './errors.ts'
