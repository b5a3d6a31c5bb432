import type { World } from '@banyan/core'
import { type Fields, fieldsOf } from './fields.ts'
import { keyOf, newRegistry, ownNode, type RegistryState } from './registry-index.ts'
import { readAgentCheck, readCatalogRegistration, readRegistration } from './registry-input.ts'
import {
  type CheckDefinition,
  type CheckRecord,
  type Entry,
  localNode,
  maintenanceCheck,
  type NodeRecord,
  nodeMaintenanceCheck,
  type ServiceRecord,
  startCheck,
} from './registry-records.ts'

/**
 * How far the index jumps at a restart. A crash may lose the last changes; so that nobody waits with an index of theirs,
 * the new indexes lie beyond all that can have been given out since the last write.
 */
const restartGap = 1_000_000

/**
 * A state as JSON, an instance a line: what was asked for, in the words of Consul's own calls, which the reader knows already. No times:
 * they start anew. An instance that has not changed since the last time costs next to nothing.
 */
export function toSaved(state: RegistryState): string {
  const own = ownNode(state)
  const others = [...state.nodes.values()].filter(({ name }) => name !== localNode)
  const parts = {
    version: JSON.stringify(2),
    index: JSON.stringify(state.index),
    names: JSON.stringify([...state.changed.keys()]),
    node: JSON.stringify({ checks: withoutMaintenance(own.checks).map(toSavedCheck), ...maintenanceOf(own.checks) }),
    services: lines(entriesAt(state, localNode).map(textOf)),
    catalog: lines(others.flatMap((node) => toSavedNode(state, node)).map((each) => JSON.stringify(each))),
  }
  return `{${Object.entries(parts)
    .map(([name, text]) => `"${name}":${text}`)
    .join(',\n')}}\n`
}

function lines(texts: readonly string[]): string {
  return `[\n${texts.join(',\n')}\n]`
}

/** The texts of instances, each as long as it is what it was. */
const texts = new WeakMap<Entry, string>()

function textOf(entry: Entry): string {
  const known = texts.get(entry)
  if (known !== undefined) return known
  const text = JSON.stringify(toSavedEntry(entry))
  texts.set(entry, text)
  return text
}

/**
 * Reads what {@link toSaved} wrote; every TTL has its whole time again.
 *
 * @throws {DiscoveryError} `ERR_BAD_REQUEST` that names what is wrong
 */
export function readSavedState(json: unknown, world: World): RegistryState {
  const fields = fieldsOf(json)
  const version = fields.integer('version', 0, 1, 2)
  const saved = fields.integer('index', 0, 1, Number.MAX_SAFE_INTEGER - restartGap)
  const index = Math.max(saved + restartGap, Math.floor(world.now()))
  const names = fields.texts('names')
  const now = world.monotonic()
  const entries = new Map(fields.objects('services').map((each) => readEntry(each, index, now)))
  const empty = newRegistry(index)
  const base: RegistryState = { ...empty, entries, changed: new Map(names.map((name) => [name, index])) }
  // Version 1 knew no nodes.
  if (version === 1) return base
  const own = { ...ownNode(empty), checks: readNodeChecks(fields.object('node'), now) }
  const registrations = fields.objects('catalog').map((each) => each.raw('definition'))
  return readCatalog({ ...base, nodes: new Map([[localNode, own]]) }, registrations, now)
}

function toSavedEntry({ service, checks }: Entry): object {
  const definition = { Name: service.name, ...serviceJson(service), Checks: withoutMaintenance(checks).map(toSavedCheck) }
  return { definition, ...maintenanceOf(checks) }
}

/** A node and each of its services, as registrations of their own. */
function toSavedNode(state: RegistryState, { name, address, meta, checks }: NodeRecord): readonly object[] {
  const node = { Node: name, Address: address, NodeMeta: meta }
  const services = entriesAt(state, name).map(({ service, checks: own }) => ({
    definition: {
      ...node,
      Service: { Service: service.name, ...serviceJson(service) },
      Checks: own.map((check) => ({ ...toToldCheck(check), ServiceID: service.id })),
    },
  }))
  return [{ definition: { ...node, Checks: checks.map(toToldCheck) } }, ...services]
}

function serviceJson({ id, address, port, tags, meta, weights, taggedAddresses }: ServiceRecord): object {
  return {
    ID: id,
    Address: address,
    Port: port,
    Tags: tags,
    Meta: meta,
    Weights: { Passing: weights.passing, Warning: weights.warning },
    TaggedAddresses: taggedAddresses,
  }
}

function toSavedCheck({ id, name, notes, status, kind, deregisterAfterMs, thresholds }: CheckRecord): object {
  const common = { CheckID: id, Name: name, Notes: notes, Status: status }
  const after = deregisterAfterMs === undefined ? {} : { DeregisterCriticalServiceAfter: `${deregisterAfterMs}ms` }
  if (kind.type === 'ttl') return { ...common, ...after, TTL: `${kind.ttlMs}ms` }
  if (kind.type === 'maintenance' || kind.type === 'told') return common
  const inARow = {
    SuccessBeforePassing: thresholds.passing,
    FailuresBeforeWarning: thresholds.warning,
    FailuresBeforeCritical: thresholds.critical,
  }
  const every = { ...common, ...after, ...inARow, Interval: `${kind.intervalMs}ms`, Timeout: `${kind.timeoutMs}ms` }
  if (kind.type === 'tcp') return { ...every, TCP: `${kind.host.includes(':') ? `[${kind.host}]` : kind.host}:${kind.port}` }
  const { url, method, headers, body, skipTlsVerify, followRedirects } = kind
  return {
    ...every,
    HTTP: url,
    Method: method,
    Header: headers,
    Body: body,
    TLSSkipVerify: skipTlsVerify,
    DisableRedirects: !followRedirects,
  }
}

function toToldCheck({ id, name, notes, status }: CheckRecord): object {
  return { CheckID: id, Name: name, Notes: notes, Status: status }
}

function withoutMaintenance(checks: readonly CheckRecord[]): readonly CheckRecord[] {
  return checks.filter(({ kind }) => kind.type !== 'maintenance')
}

function maintenanceOf(checks: readonly CheckRecord[]): object {
  const maintenance = checks.find(({ kind }) => kind.type === 'maintenance')
  return maintenance ? { maintenance: maintenance.notes } : {}
}

function readEntry(saved: Fields, index: number, now: number): [string, Entry] {
  const { service, checks } = readRegistration(saved.raw('definition'))
  const reason = saved.raw('maintenance')
  const definitions = typeof reason === 'string' ? [...checks, maintenanceCheck(service.id, reason)] : checks
  return [service.id, entryOf(localNode, service, started(definitions, now), index)]
}

function readNodeChecks(saved: Fields | undefined, now: number): readonly CheckRecord[] {
  const checks = saved?.raw('checks')
  const definitions = Array.isArray(checks) ? checks.map((check) => readAgentCheck(check).check) : []
  const reason = saved?.raw('maintenance')
  return started(typeof reason === 'string' ? [...definitions, nodeMaintenanceCheck(reason)] : definitions, now)
}

function readCatalog(state: RegistryState, registrations: readonly unknown[], now: number): RegistryState {
  const entries = new Map(state.entries)
  const nodes = new Map(state.nodes)
  const { index } = state
  for (const each of registrations) {
    const { node, service, checks } = readCatalogRegistration(each)
    const records = started(
      checks.map(({ check }) => check),
      now,
    )
    if (service) entries.set(keyOf(node.name, service.id), entryOf(node.name, service, records, index))
    else nodes.set(node.name, { ...node, checks: records, createIndex: index, modifyIndex: index })
  }
  return { ...state, entries, nodes }
}

function entryOf(node: string, service: ServiceRecord, checks: readonly CheckRecord[], index: number): Entry {
  return { node, service, checks, createIndex: index, modifyIndex: index }
}

function started(definitions: readonly CheckDefinition[], now: number): readonly CheckRecord[] {
  return definitions.map((check) => startCheck(check, undefined, now))
}

function entriesAt(state: RegistryState, name: string): readonly Entry[] {
  return [...state.entries.values()].filter(({ node }) => node === name)
}
