import type { CheckStatus } from './consul-json.ts'
import { badRequest, type Fields, fieldsOf } from './fields.ts'
import type { CatalogDeregistration, CatalogRegistration } from './registry-catalog.ts'
import { readCheck, readStatus } from './registry-check-input.ts'
import { atOnce, type CheckDefinition, localNode, type ServiceRecord } from './registry-records.ts'

/**
 * Reads the body of `PUT /v1/agent/service/register`.
 *
 * @throws {DiscoveryError} `ERR_BAD_REQUEST`, naming the field, what it is and what is wanted
 */
export function readRegistration(body: unknown): { service: ServiceRecord; checks: readonly CheckDefinition[] } {
  const fields = fieldsOf(body)
  const name = fields.text('Name', '')
  if (name === '') throw badRequest('"Name" is missing, wanted the name of the service')
  const service = readService(fields, name)
  const one = fields.object('Check')
  const given = [...(one ? [one] : []), ...fields.objects('Checks')]
  const checks = given.map((check, index) => {
    const id = `service:${service.id}${given.length === 1 ? '' : `:${index + 1}`}`
    return readCheck(check, { id, name: `Service '${name}' check` })
  })
  endOfService(fields)
  assertDifferent(checks)
  return { service, checks }
}

/** Reads the body of `PUT /v1/agent/check/update/:id`. */
export function readUpdate(body: unknown): { status: CheckStatus; output: string } {
  const fields = fieldsOf(body)
  const status = readStatus(fields)
  if (!status) throw badRequest('"Status" is missing, wanted passing, warning or critical')
  const output = fields.text('Output', '')
  fields.end()
  return { status, output }
}

/** Reads the body of `PUT /v1/agent/check/register`; without a `ServiceID` the check is of the node. */
export function readAgentCheck(body: unknown): { serviceId: string | undefined; check: CheckDefinition } {
  const fields = fieldsOf(body)
  const name = fields.text('Name', '')
  if (name === '') throw badRequest('"Name" is missing, wanted the name of the check')
  const serviceId = fields.text('ServiceID', '') || undefined
  const check = readCheck(fields, { id: name, name })
  if (serviceId === undefined && check.deregisterAfterMs !== undefined)
    throw badRequest('"DeregisterCriticalServiceAfter" is for checks of a service; give its "ServiceID", or leave it out')
  return { serviceId, check: { ...check, name } }
}

/** Reads the body of `PUT /v1/catalog/register`. */
export function readCatalogRegistration(body: unknown): CatalogRegistration {
  const fields = fieldsOf(body)
  const name = nodeOf(fields)
  const address = fields.text('Address', '')
  if (address === '') throw badRequest('"Address" is missing, wanted the address of the node')
  const node = { name, address, meta: fields.textMap('NodeMeta') }
  const told = fields.object('Service')
  const service = told && readCatalogService(told)
  const one = fields.object('Check')
  const checks = [...(one ? [one] : []), ...fields.objects('Checks')].map(readCatalogCheck)
  fields.ignore(
    'ID',
    'Datacenter',
    'TaggedAddresses',
    'SkipNodeUpdate',
    'Namespace',
    'Partition',
    'Locality',
    'WriteRequest',
    'EnterpriseMeta',
  )
  fields.end()
  return { node, service, checks }
}

/** Reads the body of `PUT /v1/catalog/deregister`. */
export function readCatalogDeregistration(body: unknown): CatalogDeregistration {
  const fields = fieldsOf(body)
  const read = { node: nodeOf(fields), serviceId: fields.text('ServiceID', ''), checkId: fields.text('CheckID', '') }
  fields.ignore('Datacenter', 'Address', 'Namespace', 'Partition', 'WriteRequest', 'EnterpriseMeta')
  fields.end()
  return read
}

function nodeOf(fields: Fields): string {
  const name = fields.text('Node', '')
  if (name === '') throw badRequest('"Node" is missing, wanted the name of the node')
  if (name === localNode) throw badRequest(`"Node" is "${name}", the registry's own; use the paths under agent/ for what is on it`)
  return oneLine('Node', name)
}

/** A line break stands between a node and an id where the registry keeps what is on it: within a name, it could name another's. */
function oneLine(path: string, text: string): string {
  if (text.includes('\n')) throw badRequest(`"${path}" is ${JSON.stringify(text)}, wanted a text without a line break`)
  return text
}

function readCatalogService(fields: Fields): ServiceRecord {
  const name = fields.text('Service', '')
  if (name === '') throw badRequest(`"${fields.pathOf('Service')}" is missing, wanted the name of the service`)
  const service = readService(fields, name)
  endOfService(fields)
  return service
}

/** A check that somebody else runs, and its status with it. */
function readCatalogCheck(fields: Fields): { serviceId: string; check: CheckDefinition } {
  const name = fields.text('Name', '')
  const id = fields.text('CheckID', '') || name
  if (id === '') throw badRequest(`"${fields.pathOf('CheckID')}" is missing, wanted the id of the check`)
  const told = { notes: fields.text('Notes', ''), status: readStatus(fields) ?? 'critical' } as const
  const serviceId = fields.text('ServiceID', '')
  // How an external monitor is to run it, which is between the two of them.
  fields.ignore('Definition', 'Output', 'Node', 'ServiceName', 'ServiceTags', 'Type', 'Namespace', 'Partition', 'Interval', 'Timeout')
  fields.end()
  return { serviceId, check: { id, name: name || id, ...told, kind: { type: 'told' }, deregisterAfterMs: undefined, thresholds: atOnce } }
}

function readService(fields: Fields, name: string): ServiceRecord {
  return {
    id: oneLine(fields.pathOf('ID'), fields.text('ID', '') || name),
    name,
    address: fields.text('Address', ''),
    port: fields.integer('Port', 0, 0, 65_535),
    tags: fields.texts('Tags'),
    meta: fields.textMap('Meta'),
    weights: readWeights(fields.object('Weights')),
    taggedAddresses: readTaggedAddresses(fields.object('TaggedAddresses')),
  }
}

function endOfService(fields: Fields): void {
  fields.ignore('EnableTagOverride', 'Namespace', 'Partition', 'Datacenter', 'Locality')
  fields.unsupported('Kind', 'Proxy', 'Connect', 'SocketPath', 'Ports')
  fields.end()
}

function readTaggedAddresses(fields: Fields | undefined): ServiceRecord['taggedAddresses'] {
  const names = fields?.names() ?? []
  const read = (address: Fields | undefined) => {
    const one = { Address: address?.text('Address', '') ?? '', Port: address?.integer('Port', 0, 0, 65_535) ?? 0 }
    address?.end()
    return one
  }
  return Object.fromEntries(names.map((name) => [name, read(fields?.object(name))]))
}

function readWeights(fields: Fields | undefined): ServiceRecord['weights'] {
  if (!fields) return { passing: 1, warning: 1 }
  const weights = { passing: fields.integer('Passing', 1, 1, 65_535), warning: fields.integer('Warning', 1, 0, 65_535) }
  fields.end()
  return weights
}

function assertDifferent(checks: readonly CheckDefinition[]): void {
  const ids = new Set<string>()
  for (const { id } of checks) {
    if (ids.has(id)) throw badRequest(`"CheckID" is "${id}" for two checks, wanted a different one for each`)
    ids.add(id)
  }
}
