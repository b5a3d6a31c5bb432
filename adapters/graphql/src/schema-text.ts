import type { Api } from '@banyan/core'
import { printSchema } from 'graphql'
import { contractSchema } from './contract-schema.ts'

/**
 * The GraphQL schema of contracts as text, for tools that write clients.
 *
 * @throws {GraphqlError} `ERR_GRAPHQL_CONTRACT`
 */
export function schemaText(contracts: readonly Api[]): string {
  return printSchema(contractSchema(contracts, async () => undefined))
}
