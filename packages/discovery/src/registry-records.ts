import { type CheckStatus, maintenancePrefix, nodeMaintenanceId } from './consul-json.ts'

/** One registered instance with its checks. */
export interface Entry {
  /** The name of the node it is on: {@link localNode} for all that register with this registry as their agent. */
  readonly node: string
  readonly service: ServiceRecord
  readonly checks: readonly CheckRecord[]
  readonly createIndex: number
  readonly modifyIndex: number
}

/** A machine with services; the registry itself is one, others are told by `catalog/register`. */
export interface NodeRecord {
  readonly name: string
  /** Empty for the registry's own: it knows its address only when it listens. */
  readonly address: string
  readonly meta: Readonly<Record<string, string>>
  /** Those about the machine: when one fails, so do all services on it. */
  readonly checks: readonly CheckRecord[]
  readonly createIndex: number
  readonly modifyIndex: number
}

/** The name of the registry's own node. */
export const localNode = 'banyan'

/** What an instance said of itself. */
export interface ServiceRecord {
  readonly id: string
  readonly name: string
  readonly address: string
  readonly port: number
  readonly tags: readonly string[]
  readonly meta: Readonly<Record<string, string>>
  readonly weights: { readonly passing: number; readonly warning: number }
  /** Other addresses by name, `wan` for one; handed out as they came. */
  readonly taggedAddresses: Readonly<Record<string, { readonly Address: string; readonly Port: number }>>
}

/** A check and how it stands. */
export interface CheckRecord extends Omit<CheckDefinition, 'status'> {
  readonly status: CheckStatus
  readonly output: string
  /** When a TTL check that is not heard of becomes critical. */
  readonly expiresAt: number | undefined
  /** Since when it is critical. */
  readonly criticalSince: number | undefined
}

/** A check as it is asked for. */
export interface CheckDefinition {
  /** Unique among all checks: `service:orders-1`. */
  readonly id: string
  readonly name: string
  readonly notes: string
  /** How it starts. Left out: as it stood when it was registered before, else critical. */
  readonly status?: CheckStatus | undefined
  readonly kind: CheckKind
  /** After how long of being critical its instance is taken out. */
  readonly deregisterAfterMs: number | undefined
  /** How many results in a row it takes to change the status of a check that the registry runs. */
  readonly thresholds: Thresholds
}

/** How many results in a row count. */
export interface Thresholds {
  /** Good ones until passing (or warning, as the result says). */
  readonly passing: number
  /** Bad ones until warning. */
  readonly warning: number
  /** Bad ones until critical. */
  readonly critical: number
}

/** Each result counts. */
export const atOnce: Thresholds = { passing: 1, warning: 1, critical: 1 }

/** How a check comes to its status: somebody reports in time, the registry asks, or people said so. */
export type CheckKind =
  | { readonly type: 'ttl'; readonly ttlMs: number }
  | HttpCheck
  | TcpCheck
  | { readonly type: 'maintenance' }
  /** Somebody else runs it and tells the catalog. */
  | { readonly type: 'told' }

/** Good is a status of 200 to 299; 429 is a warning. */
export interface HttpCheck {
  readonly type: 'http'
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly body: string
  readonly skipTlsVerify: boolean
  readonly followRedirects: boolean
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** Good is that a connection opens. */
export interface TcpCheck {
  readonly type: 'tcp'
  readonly host: string
  readonly port: number
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** A check at its start; a TTL has its whole time from `now`. */
export function startCheck(definition: CheckDefinition, before: CheckRecord | undefined, now: number): CheckRecord {
  const status = definition.status ?? before?.status ?? 'critical'
  const started = { ...definition, status, output: '', expiresAt: undefined, criticalSince: before?.criticalSince }
  return withStatus(started, status, '', now)
}

/** The check that stands for maintenance of an instance, critical on purpose. */
export function maintenanceCheck(id: string, reason: string): CheckDefinition {
  return byOperator(`${maintenancePrefix}${id}`, 'Service Maintenance Mode', reason)
}

/** The check that stands for maintenance of the registry's node, and so of all services on it. */
export function nodeMaintenanceCheck(reason: string): CheckDefinition {
  return byOperator(nodeMaintenanceId, 'Node Maintenance Mode', reason)
}

function byOperator(id: string, name: string, reason: string): CheckDefinition {
  const kind = { type: 'maintenance' } as const
  return { id, name, notes: reason, status: 'critical', kind, deregisterAfterMs: undefined, thresholds: atOnce }
}

/** Whether two lists of checks are the same to those who ask for them: all but outputs and deadlines. */
export function sayTheSame(one: readonly CheckRecord[], two: readonly CheckRecord[]): boolean {
  const said = (checks: readonly CheckRecord[]) =>
    JSON.stringify(checks.map(({ output: _output, expiresAt: _expiresAt, criticalSince: _since, ...check }) => check))
  return said(one) === said(two)
}

/** A check whose time is up. */
export function expire(check: CheckRecord): CheckRecord {
  // Critical since its time was up, not since somebody looked: the same whenever the tick comes.
  return { ...withStatus(check, 'critical', 'TTL expired', check.expiresAt ?? 0), expiresAt: undefined }
}

/** Whether its time is up. */
export function isExpired({ expiresAt }: CheckRecord, now: number): boolean {
  return expiresAt !== undefined && expiresAt <= now
}

/** Whether its instance is to be taken out. */
export function isOverdue({ criticalSince, deregisterAfterMs }: CheckRecord, now: number): boolean {
  return criticalSince !== undefined && deregisterAfterMs !== undefined && now - criticalSince >= deregisterAfterMs
}

/** When it next changes by itself. */
export function dueAtOf({ expiresAt, criticalSince, deregisterAfterMs }: CheckRecord): number | undefined {
  const goneAt = criticalSince === undefined || deregisterAfterMs === undefined ? undefined : criticalSince + deregisterAfterMs
  if (expiresAt === undefined || goneAt === undefined) return expiresAt ?? goneAt
  return Math.min(expiresAt, goneAt)
}

/** The check after a time in which nobody could report: what fell due meanwhile has its whole time again. */
export function afterAbsence(check: CheckRecord, now: number): CheckRecord {
  const { kind, expiresAt, criticalSince } = check
  if ((dueAtOf(check) ?? Number.POSITIVE_INFINITY) > now) return check
  return {
    ...check,
    expiresAt: kind.type === 'ttl' && expiresAt !== undefined ? now + kind.ttlMs : expiresAt,
    criticalSince: criticalSince === undefined ? undefined : now,
  }
}

/** The check with a report of now. */
export function withStatus(check: CheckRecord, status: CheckStatus, output: string, now: number): CheckRecord {
  const { kind } = check
  return {
    ...check,
    status,
    output,
    // A check that is critical has nothing left to expire to.
    expiresAt: kind.type === 'ttl' && status !== 'critical' ? now + kind.ttlMs : undefined,
    criticalSince: status === 'critical' ? (check.criticalSince ?? now) : undefined,
  }
}
