import type { CheckJson, CheckStatus, HealthRowJson, NodeJson, ServiceJson } from './consul-json.ts'
import { checksOf, type RegistryState } from './registry-index.ts'
import { type CheckRecord, type Entry, localNode, type NodeRecord } from './registry-records.ts'

const datacenter = 'dc1'

/** What a query asks for of a service's instances. */
export interface Selection {
  service: string
  /** Only instances whose checks all pass. */
  passing?: boolean
  /** Only instances with all of these tags, in capitals or not. */
  tags?: readonly string[]
}

/** `GET /v1/health/service/:name` */
export function healthRows(state: RegistryState, address: string, selection: Selection): readonly HealthRowJson[] {
  const nodes = nodesJson(state, address)
  return select(state, selection).map((entry) => ({
    Node: nodes(entry.node),
    Service: serviceJson(entry),
    Checks: [...nodeChecksJson(state.nodes.get(entry.node)), ...entry.checks.map((check) => checkJson(entry, check))],
  }))
}

/** `GET /v1/health/checks/:service` */
export function serviceChecks(state: RegistryState, service: string): readonly CheckJson[] {
  return select(state, { service }).flatMap((entry) => entry.checks.map((check) => checkJson(entry, check)))
}

/** `GET /v1/health/state/:state`: all checks in it, in `any` all there are. */
export function checksInState(state: RegistryState, wanted: CheckStatus | 'any'): readonly CheckJson[] {
  return [...state.nodes.keys()].flatMap((node) => nodeChecks(state, node)).filter(({ Status }) => wanted === 'any' || Status === wanted)
}

/** `GET /v1/health/node/:node`: the checks of a node and of all that is on it. */
export function nodeChecks(state: RegistryState, name: string): readonly CheckJson[] {
  const ofServices = entriesAt(state, name).flatMap((entry) => entry.checks.map((check) => checkJson(entry, check)))
  return [...nodeChecksJson(state.nodes.get(name)), ...ofServices]
}

/** `GET /v1/catalog/nodes` */
export function catalogNodes(state: RegistryState, address: string): readonly NodeJson[] {
  return [...state.nodes.keys()].map(nodesJson(state, address))
}

/** `GET /v1/catalog/node/:node`: the node and its services by id; `null` for one that is not known, as Consul has it. */
export function catalogNode(state: RegistryState, address: string, name: string): object | null {
  if (!state.nodes.has(name)) return null
  const services = entriesAt(state, name).map((entry) => [entry.service.id, serviceJson(entry)] as const)
  return { Node: nodesJson(state, address)(name), Services: Object.fromEntries(services) }
}

/** `GET /v1/catalog/service/:name` */
export function catalogRows(state: RegistryState, address: string, selection: Selection): readonly object[] {
  const nodes = nodesJson(state, address)
  return select(state, selection).map((entry) => {
    const node = nodes(entry.node)
    return {
      ID: node.ID,
      Node: node.Node,
      Address: node.Address,
      Datacenter: datacenter,
      TaggedAddresses: node.TaggedAddresses,
      NodeMeta: node.Meta,
      ServiceKind: '',
      ServiceID: entry.service.id,
      ServiceName: entry.service.name,
      ServiceTags: entry.service.tags,
      ServiceMeta: entry.service.meta,
      ServiceAddress: entry.service.address,
      ServiceTaggedAddresses: entry.service.taggedAddresses,
      ServicePort: entry.service.port,
      ServiceWeights: weightsJson(entry),
      ServiceEnableTagOverride: false,
      CreateIndex: entry.createIndex,
      ModifyIndex: entry.modifyIndex,
    }
  })
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
  return Object.fromEntries(entriesAt(state, localNode).map((entry) => [entry.service.id, agentService(entry)]))
}

/** `GET /v1/agent/service/:id` */
export function agentService(entry: Entry): object {
  return { ...serviceJson(entry), Datacenter: datacenter }
}

/** `GET /v1/agent/checks`: by check id. */
export function agentChecks(state: RegistryState): Readonly<Record<string, CheckJson>> {
  return Object.fromEntries(nodeChecks(state, localNode).map((check) => [check.CheckID, check]))
}

/** `GET /v1/agent/self`, as far as clients look at it. */
export function agentSelf(address: string): object {
  return {
    Config: {
      Datacenter: datacenter,
      PrimaryDatacenter: datacenter,
      NodeName: localNode,
      NodeID: '',
      Server: true,
      Version: '1.0.0-banyan',
    },
    Member: member(address),
    Meta: {},
  }
}

/** `GET /v1/agent/members`: the registry is the only one. */
export function agentMembers(address: string): readonly object[] {
  return [member(address)]
}

/** The worst of all checks that count for an instance. */
export function worstOf(state: RegistryState, entry: Entry): CheckStatus {
  const all = checksOf(state, entry).map(({ status }) => status)
  return all.includes('critical') ? 'critical' : all.includes('warning') ? 'warning' : 'passing'
}

function member(address: string): object {
  const tags = { dc: datacenter, role: 'consul' }
  // 1 is alive.
  return { Name: localNode, Addr: address, Port: 8301, Tags: tags, Status: 1 }
}

function select(state: RegistryState, { service, passing = false, tags = [] }: Selection): readonly Entry[] {
  const wanted = tags.map((tag) => tag.toLowerCase())
  return [...state.entries.values()].filter(
    (entry) =>
      entry.service.name === service &&
      wanted.every((tag) => entry.service.tags.some((own) => own.toLowerCase() === tag)) &&
      (!passing || checksOf(state, entry).every(({ status }) => status === 'passing')),
  )
}

function entriesAt(state: RegistryState, node: string): readonly Entry[] {
  return [...state.entries.values()].filter((entry) => entry.node === node)
}

function serviceJson(entry: Entry): ServiceJson {
  const { service, createIndex, modifyIndex } = entry
  return {
    ID: service.id,
    Service: service.name,
    Tags: service.tags,
    Meta: service.meta,
    Address: service.address,
    TaggedAddresses: service.taggedAddresses,
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

function checkJson({ node, service, createIndex, modifyIndex }: Entry, check: CheckRecord): CheckJson {
  const of = { ServiceID: service.id, ServiceName: service.name, ServiceTags: service.tags }
  return { ...bareCheck(node, check), ...of, CreateIndex: createIndex, ModifyIndex: modifyIndex }
}

function nodeChecksJson(node: NodeRecord | undefined): readonly CheckJson[] {
  if (!node) return []
  const { name, createIndex, modifyIndex } = node
  const of = { ServiceID: '', ServiceName: '', ServiceTags: [] }
  return node.checks.map((check) => ({ ...bareCheck(name, check), ...of, CreateIndex: createIndex, ModifyIndex: modifyIndex }))
}

function bareCheck(node: string, { id, name, status, notes, output, kind }: CheckRecord) {
  const type = kind.type === 'told' ? '' : kind.type
  return { Node: node, CheckID: id, Name: name, Status: status, Notes: notes, Output: output, Type: type }
}

/** Writes nodes, each once however many rows it is in. */
function nodesJson(state: RegistryState, ownAddress: string): (name: string) => NodeJson {
  const made = new Map<string, NodeJson>()
  return (name) => {
    const json = made.get(name) ?? nodeJson(name, state.nodes.get(name), ownAddress)
    made.set(name, json)
    return json
  }
}

function nodeJson(name: string, node: NodeRecord | undefined, ownAddress: string): NodeJson {
  const address = node?.address || ownAddress
  return {
    ID: '',
    Node: name,
    Address: address,
    Datacenter: datacenter,
    TaggedAddresses: { lan: address, wan: address },
    Meta: node?.meta ?? {},
    CreateIndex: node?.createIndex ?? 1,
    ModifyIndex: node?.modifyIndex ?? 1,
  }
}
