import type { Instance } from '@banyan/core'
import type { ConsulResponse } from './consul-http.ts'
import { maintenancePrefix, nodeMaintenanceId } from './consul-json.ts'
import { DiscoveryError } from './errors.ts'

/** What a registry says of one service. */
export interface Listing {
  /** Names this state of it, for the next blocking query. */
  readonly index: number
  /** All checks passing. An id that several nodes have stands with its node behind it: `orders@node-2`. */
  readonly healthy: readonly Instance[]
  /** Ids of those listed that fail a check, other than by maintenance. They may come back. */
  readonly failing: ReadonlySet<string>
}

/** The body of Consul's register call; its check stays passing while it hears from the instance. */
export function registerBody(instance: Instance, ttlMs: number, deregisterAfterMs: number): object {
  const { id, service, host, port, tags = [], meta = {}, weight = 1, zone } = instance
  return {
    ID: id,
    Name: service,
    Address: host,
    Port: port,
    Tags: tags,
    Meta: zone === undefined ? meta : { ...meta, zone },
    Weights: { Passing: weight, Warning: 1 },
    Check: {
      CheckID: checkIdOf(instance),
      Name: 'heartbeat',
      TTL: `${ttlMs}ms`,
      Status: 'passing',
      // At once is a millisecond: 0 is never.
      DeregisterCriticalServiceAfter: `${Math.max(1, deregisterAfterMs)}ms`,
    },
  }
}

/** The id of the check that {@link registerBody} asks for. */
export function checkIdOf(instance: Instance): string {
  return `service:${instance.id}`
}

/**
 * Reads an answer of `GET /v1/health/service/:name`.
 *
 * @throws {DiscoveryError} `ERR_REGISTRY_UNAVAILABLE` when it is not Consul's answer: something else listens there
 */
export function readListing(service: string, response: ConsulResponse): Listing {
  const rows = parse(response.text)
  if (!Array.isArray(rows)) throw notConsul(service, response.text)
  const ids = rows.map((row) => textOf(fieldOf(row, 'Service'), 'ID'))
  const isUnique = uniqueIn(ids)
  const healthy: Instance[] = []
  const failing = new Set<string>()
  for (const [place, row] of rows.entries()) {
    // In Consul an id is one of its node, and by default the service's name: on several nodes it stands for several instances.
    const id = ids[place] ?? ''
    const instance = toInstance(row, isUnique(id) ? id : `${id}@${textOf(fieldOf(row, 'Node'), 'Node')}`)
    if (id === '' || !instance) throw notConsul(service, JSON.stringify(row))
    const bad = listOf(row, 'Checks').filter((check) => textOf(check, 'Status') !== 'passing')
    if (bad.length === 0) healthy.push(instance)
    else if (!bad.some((check) => isMaintenance(textOf(check, 'CheckID')))) failing.add(instance.id)
  }
  return { index: response.index, healthy, failing }
}

function isMaintenance(checkId: string): boolean {
  return checkId === nodeMaintenanceId || checkId.startsWith(maintenancePrefix)
}

/** Says of an id whether it is there once. */
function uniqueIn(ids: readonly string[]): (id: string) => boolean {
  const once = new Set<string>()
  const twice = new Set<string>()
  for (const id of ids) (once.has(id) ? twice : once).add(id)
  return (id) => !twice.has(id)
}

function toInstance(row: unknown, id: string): Instance | undefined {
  const service = fieldOf(row, 'Service')
  // A service without an address is on its node's.
  const host = textOf(service, 'Address') || textOf(fieldOf(row, 'Node'), 'Address')
  const port = fieldOf(service, 'Port')
  if (typeof port !== 'number') return undefined
  const meta = textsOf(fieldOf(service, 'Meta'))
  const weight = fieldOf(fieldOf(service, 'Weights'), 'Passing')
  return {
    id,
    service: textOf(service, 'Service'),
    host,
    port,
    tags: listOf(service, 'Tags').filter((tag) => typeof tag === 'string'),
    meta,
    weight: typeof weight === 'number' && weight >= 1 ? weight : 1,
    ...(meta.zone === undefined ? {} : { zone: meta.zone }),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON at all: the caller says so, with the text.
    return undefined
  }
}

function notConsul(service: string, text: string): DiscoveryError {
  return new DiscoveryError(
    'ERR_REGISTRY_UNAVAILABLE',
    `cannot read the instances of "${service}": wanted a list as Consul answers, got ${text.slice(0, 200)}`,
  )
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  // It comes from JSON.parse, and the names are Consul's: none of them is inherited. A descriptor for each would take half of the reading.
  return (value as Readonly<Record<string, unknown>>)[name]
}

function textOf(value: unknown, name: string): string {
  const field = fieldOf(value, name)
  return typeof field === 'string' ? field : ''
}

function listOf(value: unknown, name: string): readonly unknown[] {
  const field = fieldOf(value, name)
  return Array.isArray(field) ? field : []
}

function textsOf(value: unknown): Record<string, string> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}
