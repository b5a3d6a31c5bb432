// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// Where services are: clients of a registry
export { consulRegistry } from './consul-client.ts'
export type { ConsulRegistry, ConsulRegistryOptions } from './consul-client.ts'
export type { MassExpiryOptions } from './watch-state.ts'
export { dnsRegistry } from './dns-registry.ts'
export type { DnsRegistryOptions } from './dns-registry.ts'
export { nodeResolver } from './dns-resolver.ts'
export type { DnsAddress, DnsResolver, DnsService, NodeResolverOptions } from './dns-resolver.ts'
export { staticRegistry } from './static-registry.ts'
export type { StaticAddress } from './static-registry.ts'

// Which instance to call next
export { upstream } from './upstream.ts'
export type { Picked, Upstream, UpstreamOptions } from './upstream.ts'
export type { Balance } from './balance.ts'
export type { ZoneOptions } from './balance-zones.ts'
export type { FailureRateOptions, OutlierOptions, SuccessRateOptions } from './outliers.ts'

// A balancer of your own
export type { Balancer } from './balancer.ts'
export { costOf, inFlightOf, weightOf } from './balance-table.ts'
export type { EndpointTable } from './balance-table.ts'

// The embedded registry
export { registryServer } from './registry-server.ts'
export type { RegistryServer, RegistryServerOptions } from './registry-server.ts'

// What goes wrong
export { DiscoveryError } from './errors.ts'
export type { DiscoveryErrorCode } from './errors.ts'
