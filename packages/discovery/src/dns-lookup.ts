import type { Instance } from '@banyan/core'
import type { DnsAddress, DnsResolver, DnsService } from './dns-resolver.ts'
import { DiscoveryError } from './errors.ts'

/** What DNS says of a service. */
export interface DnsAnswer {
  readonly instances: readonly Instance[]
  /** How long it holds, seconds: the shortest of its records that tell; `Infinity` when none does. */
  readonly ttlSeconds: number
}

/** What to look up. */
export interface DnsQuestion {
  readonly service: string
  readonly name: string
  /** The port of every instance; without one, SRV records tell it. */
  readonly port: number | undefined
}

/**
 * Asks DNS for the instances of a service: addresses at a known port, or SRV records and the addresses of their targets. Of SRV records, those
 * of the lowest priority that has an address are used, with their weights.
 *
 * @throws {DiscoveryError} `ERR_NOT_FOUND` when the name has no record of use, `ERR_REGISTRY_UNAVAILABLE` when no server answers
 * @see RFC 2782
 */
export async function lookUp(resolver: DnsResolver, question: DnsQuestion): Promise<DnsAnswer> {
  const { service, name, port } = question
  try {
    if (port !== undefined) return answerOf(service, [{ addresses: await addressesOf(resolver, name), port, weight: undefined }])
    const records = (await resolver.services(name)).filter(({ target }) => target !== '' && target !== '.')
    for (const priority of [...new Set(records.map((record) => record.priority))].sort((a, b) => a - b)) {
      const answer = await answerOfRecords(
        resolver,
        service,
        records.filter((record) => record.priority === priority),
      )
      if (answer.instances.length > 0) return answer
    }
  } catch (cause) {
    if (isNegative(cause)) throw notFound(name, cause)
    throw new DiscoveryError('ERR_REGISTRY_UNAVAILABLE', `no DNS server answers for "${name}"`, { cause })
  }
  throw notFound(name, undefined)
}

interface Found {
  readonly addresses: readonly DnsAddress[]
  readonly port: number
  readonly weight: number | undefined
}

async function answerOfRecords(resolver: DnsResolver, service: string, records: readonly DnsService[]): Promise<DnsAnswer> {
  const found = await Promise.all(
    records.map(async ({ target, port, weight }): Promise<Found> => {
      // A target that just went has no address any more; the others count.
      const addresses = await addressesOf(resolver, target).catch((error) => {
        if (isNegative(error)) return []
        throw error
      })
      return { addresses, port, weight: Math.max(1, weight) }
    }),
  )
  const ttlSeconds = Math.min(...records.map((record) => record.ttlSeconds ?? Number.POSITIVE_INFINITY))
  const answer = answerOf(service, found)
  return { ...answer, ttlSeconds: Math.min(answer.ttlSeconds, ttlSeconds) }
}

/** IPv4, and IPv6 where there is none: a host that has both is one host. */
async function addressesOf(resolver: DnsResolver, name: string): Promise<readonly DnsAddress[]> {
  try {
    return await resolver.addresses(name, 4)
  } catch (error) {
    if (!isNegative(error)) throw error
    return resolver.addresses(name, 6)
  }
}

function answerOf(service: string, found: readonly Found[]): DnsAnswer {
  const instances = new Map<string, Instance>()
  let ttlSeconds = Number.POSITIVE_INFINITY
  for (const { addresses, port, weight } of found) {
    for (const { address, ttlSeconds: ttl } of addresses) {
      const id = `${service}@${address}:${port}`
      instances.set(id, { id, service, host: address, port, ...(weight !== undefined && { weight }) })
      ttlSeconds = Math.min(ttlSeconds, ttl)
    }
  }
  return { instances: [...instances.values()], ttlSeconds }
}

/** Whether a server answered that there is nothing, which is not the same as no answer. */
function isNegative(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOTFOUND' || code === 'ENODATA'
}

function notFound(name: string, cause: unknown): DiscoveryError {
  return new DiscoveryError('ERR_NOT_FOUND', `DNS has no records of "${name}" to call`, { cause })
}
