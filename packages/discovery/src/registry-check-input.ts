import type { CheckStatus } from './consul-json.ts'
import { badRequest, type Fields } from './fields.ts'
import { atOnce, type CheckDefinition, type CheckKind, type HttpCheck, type TcpCheck, type Thresholds } from './registry-records.ts'

/** Every check that is run by the registry pauses at least this long, milliseconds. */
const shortestIntervalMs = 100
const longestMs = 30 * 24 * 3_600_000
const mostInARow = 1_000

/**
 * Reads a check as it is asked for by `agent/service/register` and `agent/check/register`.
 *
 * @param fallback its id and name, when it says none
 * @throws {DiscoveryError} `ERR_BAD_REQUEST`, naming the field, what it is and what is wanted
 */
export function readCheck(fields: Fields, fallback: { id: string; name: string }): CheckDefinition {
  const definition = {
    id: fields.text('CheckID', '') || fields.text('ID', '') || fallback.id,
    name: fields.text('Name', '') || fallback.name,
    notes: fields.text('Notes', ''),
    status: readStatus(fields),
    // As in Consul: 0 is never.
    deregisterAfterMs: between(fields, 'DeregisterCriticalServiceAfter', 0) || undefined,
    thresholds: readThresholds(fields),
    kind: readKind(fields),
  }
  // Sent by clients whatever the check is.
  fields.ignore('ID', 'ServiceID', 'Namespace', 'Partition', 'OutputMaxSize')
  fields.unsupported('Args', 'ScriptArgs', 'Script', 'Shell', 'DockerContainerID', 'GRPC', 'GRPCUseTLS', 'H2PING', 'H2PingUseTLS', 'UDP')
  fields.unsupported('TCPUseTLS', 'TLSServerName', 'OSService', 'AliasNode', 'AliasService')
  fields.end()
  return definition
}

/** Reads a status; `undefined` when there is none. */
export function readStatus(fields: Fields): CheckStatus | undefined {
  const status = fields.text('Status', '')
  if (status === '') return undefined
  if (status === 'passing' || status === 'warning' || status === 'critical') return status
  throw badRequest(`"${fields.pathOf('Status')}" is "${status}", wanted passing, warning or critical`)
}

/** As in Consul: 0 is 1, and the one for warning is the one for critical unless it says otherwise. */
function readThresholds(fields: Fields): Thresholds {
  const read = (name: string) => fields.integer(name, 0, 0, mostInARow)
  const passing = Math.max(1, read('SuccessBeforePassing'))
  const critical = Math.max(1, read('FailuresBeforeCritical'))
  const warning = read('FailuresBeforeWarning') || critical
  if (warning > critical)
    throw badRequest(`"${fields.pathOf('FailuresBeforeWarning')}" is ${warning}, wanted at most FailuresBeforeCritical, ${critical}`)
  return passing === 1 && warning === 1 && critical === 1 ? atOnce : { passing, warning, critical }
}

function readKind(fields: Fields): CheckKind {
  const ttlMs = between(fields, 'TTL', 1)
  const url = fields.text('HTTP', '')
  const address = fields.text('TCP', '')
  const every = { intervalMs: between(fields, 'Interval', shortestIntervalMs), timeoutMs: between(fields, 'Timeout', 1) ?? 10_000 }
  const http = { method: fields.text('Method', '') || 'GET', headers: readHeaders(fields), body: fields.text('Body', '') }
  const skipTlsVerify = fields.flag('TLSSkipVerify')
  const followRedirects = !fields.flag('DisableRedirects')
  const kinds = [ttlMs !== undefined, url !== '', address !== ''].filter(Boolean).length
  if (kinds !== 1) throw badRequest(`"${fields.path || 'the check'}" has ${kinds} of TTL, HTTP and TCP, wanted one`)
  if (ttlMs !== undefined) return { type: 'ttl', ttlMs }
  const { intervalMs, timeoutMs } = every
  if (intervalMs === undefined) throw badRequest(`"${fields.pathOf('Interval')}" is missing, wanted how often to check, as in "10s"`)
  if (url !== '') {
    const target = readUrl(fields, url)
    return { type: 'http', url: target, ...http, skipTlsVerify, followRedirects, intervalMs, timeoutMs } satisfies HttpCheck
  }
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
  const match = /^(?:\[([^[\]\s/]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match && port >= 1 && port <= 65_535) return { host: match[1] ?? match[2] ?? '', port }
  throw badRequest(`"${fields.pathOf('TCP')}" is "${text}", wanted host:port, as in "127.0.0.1:5432"`)
}
