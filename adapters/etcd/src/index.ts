// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// A registry in etcd
export { etcdRegistry } from './etcd-registry.ts'
export type { EtcdRegistry, EtcdRegistryOptions } from './etcd-registry.ts'
export type { EtcdAuth, EtcdTls } from './etcd-http.ts'

// What goes wrong
export { EtcdError } from './etcd-error.ts'
export type { EtcdErrorCode } from './etcd-error.ts'
