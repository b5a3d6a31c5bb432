import type { CheckStatus } from './consul-json.ts'
import { badRequest, type Fields, fieldsOf } from './fields.ts'
import type { CheckDefinition, CheckKind, HttpCheck, ServiceRecord, TcpCheck } from './registry-records.ts'

/** Every check that is run by the registry pauses at least this long, milliseconds. */
const shortestIntervalMs = 100
const longestMs = 30 * 24 * 3_600_000

/**
 * Reads the body of `PUT /v1/agent/service/register`.
 *
 * @throws {DiscoveryError} `ERR_BAD_REQUEST`, naming the field, what it is and what is wanted
 */
export function readRegistration(body: unknown): { service: ServiceRecord; checks: readonly CheckDefinition[] } {
  const fields = fieldsOf(body)
  const name = fields.text('Name', '')
  if (name === '') throw badRequest('"Name" is missing, wanted the name of the service')
  const id = fields.text('ID', '') || name
  const service: ServiceRecord = {
    id,
    name,
    address: fields.text('Address', ''),
    port: fields.integer('Port', 0, 0, 65_535),
    tags: fields.texts('Tags'),
    meta: fields.textMap('Meta'),
    weights: readWeights(fields.object('Weights')),
  }
  const one = fields.object('Check')
  const given = [...(one ? [one] : []), ...fields.objects('Checks')]
  const checks = given.map((check, index) => readCheck(check, service, given.length === 1 ? '' : `:${index + 1}`))
  fields.ignore('EnableTagOverride', 'TaggedAddresses', 'Namespace', 'Partition', 'Datacenter', 'Locality')
  fields.unsupported('Kind', 'Proxy', 'Connect', 'SocketPath', 'Ports')
  fields.end()
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

function readWeights(fields: Fields | undefined): ServiceRecord['weights'] {
  if (!fields) return { passing: 1, warning: 1 }
  const weights = { passing: fields.integer('Passing', 1, 1, 65_535), warning: fields.integer('Warning', 1, 0, 65_535) }
  fields.end()
  return weights
}

function readCheck(fields: Fields, service: ServiceRecord, suffix: string): CheckDefinition {
  const definition = {
    id: fields.text('CheckID', '') || fields.text('ID', '') || `service:${service.id}${suffix}`,
    name: fields.text('Name', '') || `Service '${service.name}' check`,
    notes: fields.text('Notes', ''),
    status: readStatus(fields),
    deregisterAfterMs: between(fields, 'DeregisterCriticalServiceAfter', 0),
    kind: readKind(fields),
  }
  // Sent by clients whatever the check is.
  fields.ignore('ID', 'ServiceID', 'Namespace', 'Partition', 'TLSServerName', 'OutputMaxSize', 'DisableRedirects')
  fields.unsupported(
    'Args',
    'ScriptArgs',
    'Script',
    'Shell',
    'DockerContainerID',
    'GRPC',
    'GRPCUseTLS',
    'H2PING',
    'H2PingUseTLS',
    'UDP',
    'TCPUseTLS',
  )
  fields.unsupported('OSService', 'AliasNode', 'AliasService', 'SuccessBeforePassing', 'FailuresBeforeWarning', 'FailuresBeforeCritical')
  fields.end()
  return definition
}

function readStatus(fields: Fields): CheckStatus | undefined {
  const status = fields.text('Status', '')
  if (status === '') return undefined
  if (status === 'passing' || status === 'warning' || status === 'critical') return status
  throw badRequest(`"${fields.pathOf('Status')}" is "${status}", wanted passing, warning or critical`)
}

function readKind(fields: Fields): CheckKind {
  const ttlMs = between(fields, 'TTL', 1)
  const url = fields.text('HTTP', '')
  const address = fields.text('TCP', '')
  const every = { intervalMs: between(fields, 'Interval', shortestIntervalMs), timeoutMs: between(fields, 'Timeout', 1) ?? 10_000 }
  const http = { method: fields.text('Method', '') || 'GET', headers: readHeaders(fields), body: fields.text('Body', '') }
  const skipTlsVerify = fields.flag('TLSSkipVerify')
  const kinds = [ttlMs !== undefined, url !== '', address !== ''].filter(Boolean).length
  if (kinds !== 1) throw badRequest(`"${fields.path}" has ${kinds} of TTL, HTTP and TCP, wanted one`)
  if (ttlMs !== undefined) return { type: 'ttl', ttlMs }
  const { intervalMs, timeoutMs } = every
  if (intervalMs === undefined) throw badRequest(`"${fields.pathOf('Interval')}" is missing, wanted how often to check, as in "10s"`)
  if (url !== '') return { type: 'http', url: readUrl(fields, url), ...http, skipTlsVerify, intervalMs, timeoutMs } satisfies HttpCheck
  return { type: 'tcp', ...readAddress(fields, address), intervalMs, timeoutMs } satisfies TcpCheck
}

function between(fields: Fields, name: string, fromMs: number): number | undefined {
  const durationMs = fields.duration(name)
  if (durationMs !== undefined && (durationMs < fromMs || durationMs > longestMs))
    throw badRequest(`"${fields.pathOf(name)}" is ${durationMs} ms, wanted ${fromMs}ms to 720h`)
  return durationMs
}

function readHeaders(fields: Fields): Readonly<Record<string, readonly string[]>> {
  const headers = fields.object('Header')
  const given = headers?.names() ?? []
  return Object.fromEntries(given.map((name) => [name, headers?.texts(name) ?? []]))
}

function readUrl(fields: Fields, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return text
  throw badRequest(`"${fields.pathOf('HTTP')}" is "${text}", wanted an http or https address`)
}

function readAddress(fields: Fields, text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^\s:/]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match && port >= 1 && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port }
  throw badRequest(`"${fields.pathOf('TCP')}" is "${text}", wanted host:port, as in "127.0.0.1:5432"`)
}

function assertDifferent(checks: readonly CheckDefinition[]): void {
  const ids = new Set<string>()
  for (const { id } of checks) {
    if (ids.has(id)) throw badRequest(`"CheckID" is "${id}" for two checks, wanted a different one for each`)
    ids.add(id)
  }
}
