import type { CheckJson, HealthRowJson, NodeJson, ServiceJson } from './consul-json.ts'
import type { CheckRecord, Entry } from './registry-records.ts'
import type { RegistryState } from './registry-state.ts'

const nodeName = 'banyan'
const datacenter = 'dc1'

/** What a query asks for of a service's instances. */
export interface Selection {
  service: string
  /** Only instances whose checks all pass. */
  passing?: boolean
  /** Only instances with all of these tags. */
  tags?: readonly string[]
}

/** `GET /v1/health/service/:name` */
export function healthRows(state: RegistryState, address: string, selection: Selection): readonly HealthRowJson[] {
  const node = nodeJson(address)
  return select(state, selection).map((entry) => ({
    Node: node,
    Service: serviceJson(entry),
    Checks: entry.checks.map((check) => checkJson(entry, check)),
  }))
}

/** `GET /v1/catalog/service/:name` */
export function catalogRows(state: RegistryState, address: string, selection: Selection): readonly object[] {
  const node = nodeJson(address)
  return select(state, selection).map((entry) => ({
    ID: node.ID,
    Node: node.Node,
    Address: node.Address,
    Datacenter: datacenter,
    TaggedAddresses: node.TaggedAddresses,
    NodeMeta: node.Meta,
    ServiceID: entry.service.id,
    ServiceName: entry.service.name,
    ServiceTags: entry.service.tags,
    ServiceMeta: entry.service.meta,
    ServiceAddress: entry.service.address,
    ServicePort: entry.service.port,
    ServiceWeights: weightsJson(entry),
    ServiceEnableTagOverride: false,
    CreateIndex: entry.createIndex,
    ModifyIndex: entry.modifyIndex,
  }))
}

/** `GET /v1/catalog/services`: the tags by name. */
export function catalogServices(state: RegistryState): Readonly<Record<string, readonly string[]>> {
  const tags = new Map<string, Set<string>>()
  for (const { service } of state.entries.values()) {
    const known = tags.get(service.name) ?? new Set()
    for (const tag of service.tags) known.add(tag)
    tags.set(service.name, known)
  }
  return Object.fromEntries([...tags].map(([name, set]) => [name, [...set].sort()]))
}

/** `GET /v1/agent/services`: by id. */
export function agentServices(state: RegistryState): Readonly<Record<string, object>> {
  return Object.fromEntries([...state.entries].map(([id, entry]) => [id, { ...serviceJson(entry), Datacenter: datacenter }]))
}

/** `GET /v1/agent/checks`: by check id. */
export function agentChecks(state: RegistryState): Readonly<Record<string, CheckJson>> {
  const checks = [...state.entries.values()].flatMap((entry) => entry.checks.map((check) => checkJson(entry, check)))
  return Object.fromEntries(checks.map((check) => [check.CheckID, check]))
}

function select(state: RegistryState, { service, passing = false, tags = [] }: Selection): readonly Entry[] {
  return [...state.entries.values()].filter(
    (entry) =>
      entry.service.name === service &&
      tags.every((tag) => entry.service.tags.includes(tag)) &&
      (!passing || entry.checks.every(({ status }) => status === 'passing')),
  )
}

function serviceJson(entry: Entry): ServiceJson {
  const { service, createIndex, modifyIndex } = entry
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Meta: service.meta,
    Address: service.address,
    Port: service.port,
    Weights: weightsJson(entry),
    EnableTagOverride: false,
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  }
}

function weightsJson({ service }: Entry): ServiceJson['Weights'] {
  return { Passing: service.weights.passing, Warning: service.weights.warning }
}

function checkJson({ service, createIndex, modifyIndex }: Entry, check: CheckRecord): CheckJson {
  return {
    Node: nodeName,
    CheckID: check.id,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: service.id,
    ServiceName: service.name,
    ServiceTags: service.tags,
    Type: check.kind.type,
    CreateIndex: createIndex,
    ModifyIndex: modifyIndex,
  }
}

function nodeJson(address: string): NodeJson {
  return {
    ID: '',
    Node: nodeName,
    Address: address,
    Datacenter: datacenter,
    TaggedAddresses: { lan: address, wan: address },
    Meta: {},
    CreateIndex: 1,
    ModifyIndex: 1,
  }
}
