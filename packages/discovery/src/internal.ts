// biome-ignore-all assist/source/organizeImports: grouped by use
// For adapters and tests of Banyan itself: what they implement and what they stand on. Not for applications.

// A client of another registry: a lease and a question are all it has to bring
export { clientSettings, registryClient } from './registry-client.ts'
export type { ClosableRegistry, RegistryClientOptions, RegistryClientSettings, RegistryProtocol } from './registry-client.ts'
export type { Lease } from './heartbeat.ts'
export type { Listing } from './consul-instance.ts'
export { assertRange } from './errors.ts'
