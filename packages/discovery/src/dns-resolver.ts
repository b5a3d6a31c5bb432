import { Resolver } from 'node:dns/promises'
import { assertRange } from './errors.ts'

/** What a DNS client must be able to do. `node:dns` by default; another one in tests, or for DNS over HTTPS. */
export interface DnsResolver {
  /** The SRV records of a name. Rejects when there are none, or no server answers. */
  services(name: string): Promise<readonly DnsService[]>
  /** The addresses of a name, of one family. Rejects when there are none, or no server answers. */
  addresses(name: string, family: 4 | 6): Promise<readonly DnsAddress[]>
  /** Ends what is under way. */
  close(): void
}

/** An SRV record. @see RFC 2782 */
export interface DnsService {
  readonly target: string
  readonly port: number
  /** Those with the lowest are used. */
  readonly priority: number
  readonly weight: number
  /** How long it holds, seconds, where the client tells: `node:dns` does not. */
  readonly ttlSeconds?: number
}

/** An A or AAAA record. */
export interface DnsAddress {
  readonly address: string
  readonly ttlSeconds: number
}

/** How {@link nodeResolver} asks. */
export interface NodeResolverOptions {
  /** `127.0.0.1`, `127.0.0.1:5353`, `[::1]:5353`. Default: those of the machine. */
  servers?: readonly string[]
  /** How long one question waits before it is asked again, milliseconds, 1 to 60,000. Default 1,000. */
  timeoutMs?: number
  /** How often each server is asked, 1 to 20. Default 2. */
  tries?: number
}

/** A {@link DnsResolver} over `node:dns`, with a connection of its own: asks DNS servers, never the hosts file. */
export function nodeResolver(options: NodeResolverOptions = {}): DnsResolver {
  const { servers, timeoutMs = 1_000, tries = 2 } = options
  assertRange('create DNS resolver', 'timeoutMs', timeoutMs, 1, 60_000)
  assertRange('create DNS resolver', 'tries', tries, 1, 20)
  const resolver = new Resolver({ timeout: timeoutMs, tries })
  if (servers) resolver.setServers([...servers])
  return {
    async services(name) {
      const records = await resolver.resolveSrv(name)
      return records.map((record) => ({ target: record.name, port: record.port, priority: record.priority, weight: record.weight }))
    },
    async addresses(name, family) {
      const records = await (family === 4 ? resolver.resolve4(name, { ttl: true }) : resolver.resolve6(name, { ttl: true }))
      return records.map(({ address, ttl }) => ({ address, ttlSeconds: ttl }))
    },
    close: () => resolver.cancel(),
  }
}
