import type { CheckStatus } from './consul-json.ts'
import {
  type CheckDefinition,
  type CheckRecord,
  dueAtOf,
  type Entry,
  expire,
  isExpired,
  isOverdue,
  maintenanceCheck,
  type ServiceRecord,
  startCheck,
  withStatus,
} from './registry-records.ts'

/** All that a registry knows. Times are those of `World.monotonic`. */
export interface RegistryState {
  /** Grows by one with each change that somebody may wait for. Starts at 1. */
  readonly index: number
  /** By instance id. */
  readonly entries: ReadonlyMap<string, Entry>
  /** When each service last changed, as an index; kept after its last instance went, so that those who wait hear of it. */
  readonly changed: ReadonlyMap<string, number>
}

/** What happens to a registry. */
export type RegistryEvent =
  | { readonly type: 'register'; readonly service: ServiceRecord; readonly checks: readonly CheckDefinition[] }
  | { readonly type: 'deregister'; readonly id: string }
  | { readonly type: 'report'; readonly checkId: string; readonly status: CheckStatus; readonly output: string }
  | { readonly type: 'maintenance'; readonly id: string; readonly reason: string | undefined }
  | { readonly type: 'tick' }

/** A registry that knows nothing. */
export const emptyRegistry: RegistryState = { index: 1, entries: new Map(), changed: new Map() }

/**
 * The registry after `event`. An event about an instance or check that is not known changes nothing. What falls due by time
 * does so at a `tick`; see {@link nextDueAt}.
 *
 * Registering an id again replaces it. Registering a second id at the same address and port of the same service replaces the first:
 * two processes cannot listen there, so the first is dead. Consul keeps it until its checks fail.
 */
export function after(state: RegistryState, event: RegistryEvent, now: number): RegistryState {
  switch (event.type) {
    case 'register':
      return register(state, event.service, event.checks, now)
    case 'deregister':
      return state.entries.has(event.id) ? write(state, new Map([[event.id, undefined]])) : state
    case 'report':
      return report(state, event.checkId, event.status, event.output, now)
    case 'maintenance':
      return maintain(state, event.id, event.reason, now)
    case 'tick':
      return tick(state, now)
  }
}

/** When the next `tick` is needed, `undefined` when nothing falls due by itself. */
export function nextDueAt(state: RegistryState): number | undefined {
  let next: number | undefined
  for (const { checks } of state.entries.values()) {
    for (const check of checks) {
      const dueAt = dueAtOf(check)
      if (dueAt !== undefined && (next === undefined || dueAt < next)) next = dueAt
    }
  }
  return next
}

/**
 * The check of this id with its instance. Should two instances have one of the same id (a crashed process and the one after
 * it, with an id of their own making), it is that of the later one.
 */
export function findCheck(state: RegistryState, checkId: string): { entry: Entry; check: CheckRecord } | undefined {
  const own = state.entries.get(checkId.replace(/^service:/, ''))
  let found = own && checkIn(own, checkId)
  if (found) return found
  for (const entry of state.entries.values()) {
    const other = checkIn(entry, checkId)
    if (other && (!found || entry.createIndex > found.entry.createIndex)) found = other
  }
  return found
}

/** The index of a service, for blocking queries: 1 for one never heard of. */
export function indexOf(state: RegistryState, service: string): number {
  return state.changed.get(service) ?? 1
}

function register(state: RegistryState, service: ServiceRecord, checks: readonly CheckDefinition[], now: number): RegistryState {
  const changes = new Map<string, Entry | undefined>()
  for (const { service: other } of state.entries.values()) {
    const samePlace = other.name === service.name && other.address === service.address && other.port === service.port
    if (samePlace && service.port > 0 && other.id !== service.id) changes.set(other.id, undefined)
  }
  const before = state.entries.get(service.id)
  const records = checks.map((check) =>
    startCheck(
      check,
      before?.checks.find(({ id }) => id === check.id),
      now,
    ),
  )
  // Maintenance is the operator's word and outlives a new registration.
  const maintenance = before?.checks.filter(({ kind }) => kind.type === 'maintenance') ?? []
  changes.set(service.id, { service, checks: [...records, ...maintenance], createIndex: before?.createIndex ?? 0, modifyIndex: 0 })
  return write(state, changes)
}

function report(state: RegistryState, checkId: string, status: CheckStatus, output: string, now: number): RegistryState {
  const found = findCheck(state, checkId)
  if (!found) return state
  const { entry, check } = found
  const next = withStatus(check, status, output, now)
  const entryAfter = { ...entry, checks: entry.checks.map((each) => (each === check ? next : each)) }
  // A heartbeat alone wakes nobody.
  if (status !== check.status) return write(state, new Map([[entry.service.id, entryAfter]]))
  return { ...state, entries: new Map(state.entries).set(entry.service.id, entryAfter) }
}

function maintain(state: RegistryState, id: string, reason: string | undefined, now: number): RegistryState {
  const entry = state.entries.get(id)
  if (!entry) return state
  const others = entry.checks.filter(({ kind }) => kind.type !== 'maintenance')
  if (reason === undefined)
    return others.length === entry.checks.length ? state : write(state, new Map([[id, { ...entry, checks: others }]]))
  return write(state, new Map([[id, { ...entry, checks: [...others, startCheck(maintenanceCheck(id, reason), undefined, now)] }]]))
}

function tick(state: RegistryState, now: number): RegistryState {
  const changes = new Map<string, Entry | undefined>()
  for (const [id, entry] of state.entries) {
    if (!entry.checks.some((check) => (dueAtOf(check) ?? Number.POSITIVE_INFINITY) <= now)) continue
    const checks = entry.checks.map((check) => (isExpired(check, now) ? expire(check) : check))
    changes.set(id, checks.some((check) => isOverdue(check, now)) ? undefined : { ...entry, checks })
  }
  return changes.size === 0 ? state : write(state, changes)
}

/** Puts entries in (or, `undefined`, takes them out) as one change with one index. */
function write(state: RegistryState, changes: ReadonlyMap<string, Entry | undefined>): RegistryState {
  const index = state.index + 1
  const entries = new Map(state.entries)
  const changed = new Map(state.changed)
  for (const [id, entry] of changes) {
    const old = entries.get(id)
    if (old) changed.set(old.service.name, index)
    if (entry) {
      changed.set(entry.service.name, index)
      entries.set(id, { ...entry, createIndex: entry.createIndex || index, modifyIndex: index })
    } else entries.delete(id)
  }
  return { index, entries, changed }
}

function checkIn(entry: Entry, checkId: string): { entry: Entry; check: CheckRecord } | undefined {
  const check = entry.checks.find(({ id }) => id === checkId)
  return check && { entry, check }
}
