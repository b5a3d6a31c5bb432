import { type ClosableRegistry, clientSettings, type RegistryClientOptions, registryClient } from '@banyan/discovery/internal'
import { etcdAsk } from './etcd-ask.ts'
import { type EtcdAuth, type EtcdTls, etcdHttp } from './etcd-http.ts'
import { etcdLease } from './etcd-lease.ts'

/** How to reach etcd and how patient to be with it. */
export interface EtcdRegistryOptions extends RegistryClientOptions {
  /** Of one member, or of several: when one cannot be reached, the next is asked. `http://127.0.0.1:2379`. */
  url: string | readonly string[]
  /** For `https` addresses. */
  tls?: EtcdTls
  /** Where etcd has authentication switched on. */
  auth?: EtcdAuth
  /** The beginning of all keys. Default `/banyan/services`; the user needs to read and write what is below. */
  root?: string
}

/** A registry in etcd; must be closed at the end. */
export type EtcdRegistry = ClosableRegistry

/**
 * A registry in etcd 3.4 and later, over its HTTP gateway: each instance is a key with a lease, each watched service a watch from the
 * revision it was listed at.
 *
 * `ttlMs` is rounded up to whole seconds, and etcd makes it at least two. `register` rejects with `ERR_REGISTRY_UNAVAILABLE` when etcd
 * stays away, and with `ERR_REGISTRY_REFUSED` when it says no. Times are etcd's own: its leases end by its leader's clock.
 *
 * @throws {TypeError} for a `url` that is not http or https, or a `root` that does not begin with "/" or ends with it
 * @throws {RangeError} for an option out of range
 * @see https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
 */
export function etcdRegistry(options: EtcdRegistryOptions): EtcdRegistry {
  const { url, tls, auth, root = '/banyan/services' } = options
  if (!/^\/.*[^/]$/.test(root)) throw new TypeError(`cannot use etcd: "root" is "${root}", wanted a path as in "/banyan/services"`)
  const settings = clientSettings(options)
  const { ttlMs, world } = settings
  const http = etcdHttp({ urls: typeof url === 'string' ? [url] : url, tls, auth, world })
  return registryClient(
    {
      lease: (instance) => etcdLease({ http, instance, root, ttlMs }),
      ask: (service) => etcdAsk({ http, root, service, world }),
      close: () => http.close(),
    },
    settings,
  )
}
