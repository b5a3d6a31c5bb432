import type { CheckStatus } from './consul-json.ts'
import { type CatalogDeregistration, type CatalogRegistration, catalogDeregister, catalogRegister, merged } from './registry-catalog.ts'
import { newRegistry, ownNode, type RegistryState, write } from './registry-index.ts'
import {
  afterAbsence,
  type CheckDefinition,
  type CheckRecord,
  dueAtOf,
  type Entry,
  expire,
  isExpired,
  isOverdue,
  localNode,
  maintenanceCheck,
  type NodeRecord,
  nodeMaintenanceCheck,
  type ServiceRecord,
  sayTheSame,
  startCheck,
  withStatus,
} from './registry-records.ts'

/** What happens to a registry. */
export type RegistryEvent =
  | {
      readonly type: 'register'
      readonly service: ServiceRecord
      readonly checks: readonly CheckDefinition[]
      /** Checks of an earlier registration that are not named now go. Default: they stay, as in Consul. */
      readonly replaceChecks?: boolean
    }
  | { readonly type: 'deregister'; readonly id: string }
  /** A check of its own, of an instance or, without `serviceId`, of the registry's node. */
  | { readonly type: 'add-check'; readonly serviceId: string | undefined; readonly check: CheckDefinition }
  | { readonly type: 'remove-check'; readonly checkId: string }
  | {
      readonly type: 'report'
      /** The instance that has the check, `null`: the registry's node. Left out by those who know its id alone: see {@link findCheck}. */
      readonly serviceId?: string | null
      readonly checkId: string
      readonly status: CheckStatus
      readonly output: string
    }
  /** A `reason` begins it, `undefined` ends it; without `id` for the whole node. */
  | { readonly type: 'maintenance'; readonly id: string | undefined; readonly reason: string | undefined }
  | ({ readonly type: 'catalog-register' } & CatalogRegistration)
  | ({ readonly type: 'catalog-deregister' } & CatalogDeregistration)
  | { readonly type: 'tick' }
  /** The registry could not hear anybody for a while: what fell due meanwhile has its whole time again. */
  | { readonly type: 'resumed' }

/** A registry that knows nothing. */
export const emptyRegistry: RegistryState = newRegistry(1)

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
      return register(state, event, now)
    case 'deregister':
      return state.entries.has(event.id) ? write(state, { entries: new Map([[event.id, undefined]]) }) : state
    case 'add-check':
      return change(state, event.serviceId, (checks) => merged(checks, [event.check], now))
    case 'remove-check':
      return removeCheck(state, event.checkId)
    case 'report':
      return report(state, event, now)
    case 'maintenance':
      return maintain(state, event.id, event.reason, now)
    case 'catalog-register':
      return catalogRegister(state, event, now)
    case 'catalog-deregister':
      return catalogDeregister(state, event)
    case 'tick':
      return tick(state, now)
    case 'resumed':
      return resume(state, now)
  }
}

/** When the next `tick` is needed, `undefined` when nothing falls due by itself. */
export function nextDueAt(state: RegistryState): number | undefined {
  let next: number | undefined
  for (const { checks } of holders(state)) next = earlier(next, nextDueIn(checks))
  return next
}

/** When the first of these checks falls due. */
export function nextDueIn(checks: readonly CheckRecord[]): number | undefined {
  let next: number | undefined
  for (const check of checks) next = earlier(next, dueAtOf(check))
  return next
}

function earlier(one: number | undefined, two: number | undefined): number | undefined {
  if (one === undefined || two === undefined) return one ?? two
  return Math.min(one, two)
}

/** A check with the instance it is of; without one it is of the registry's node. */
export interface FoundCheck {
  readonly entry: Entry | undefined
  readonly check: CheckRecord
}

/**
 * The check of this id at the registry's own node. Should two instances have one of the same id (a crashed process and the one after
 * it, with an id of their own making), it is that of the later one.
 */
export function findCheck(state: RegistryState, checkId: string): FoundCheck | undefined {
  const likely = state.entries.get(checkId.replace(/^service:/, ''))
  const own = likely?.node === localNode ? checkIn(likely, checkId) : undefined
  if (own) return own
  const ofNode = checkOf(state, null, checkId)
  if (ofNode) return ofNode
  let found: { entry: Entry; check: CheckRecord } | undefined
  for (const entry of state.entries.values()) {
    const other = entry.node === localNode ? checkIn(entry, checkId) : undefined
    // After a restart all have one index, and the order they came in.
    if (other && (!found || entry.createIndex >= found.entry.createIndex)) found = other
  }
  return found
}

/** The check of this id of an instance, or of the registry's node. */
function checkOf(state: RegistryState, serviceId: string | null, checkId: string): FoundCheck | undefined {
  if (serviceId === null) {
    const check = ownNode(state).checks.find(({ id }) => id === checkId)
    return check && { entry: undefined, check }
  }
  const entry = state.entries.get(serviceId)
  return entry && checkIn(entry, checkId)
}

function register(
  state: RegistryState,
  { service, checks, replaceChecks = false }: RegistryEvent & { type: 'register' },
  now: number,
): RegistryState {
  const changes = new Map<string, Entry | undefined>()
  for (const [key, { node, service: other }] of state.entries) {
    const samePlace = node === localNode && other.name === service.name && other.address === service.address && other.port === service.port
    if (samePlace && service.port > 0 && other.id !== service.id) changes.set(key, undefined)
  }
  const before = state.entries.get(service.id)
  const known = before?.checks ?? []
  // Maintenance is the operator's word and outlives a new registration.
  const kept = replaceChecks
    ? known.filter(({ id, kind }) => kind.type === 'maintenance' || checks.some((check) => check.id === id))
    : known
  const entry = { node: localNode, service, checks: merged(kept, checks, now), createIndex: before?.createIndex ?? 0, modifyIndex: 0 }
  if (before && changes.size === 0 && saysTheSame(before, entry)) return renew(state, before, entry)
  return write(state, { entries: changes.set(service.id, entry) })
}

/** Whether a new registration changes nothing that anybody waits for, as in Consul. */
function saysTheSame(before: Entry, entry: Entry): boolean {
  return JSON.stringify(before.service) === JSON.stringify(entry.service) && sayTheSame(before.checks, entry.checks)
}

/** Only the deadlines are new. Each check keeps its kind, so that one that runs goes on running. */
function renew(state: RegistryState, before: Entry, { checks }: Entry): RegistryState {
  const renewed = checks.map((check, i) => ({ ...check, kind: before.checks[i]?.kind ?? check.kind }))
  return { ...state, entries: new Map(state.entries).set(before.service.id, { ...before, checks: renewed }) }
}

function removeCheck(state: RegistryState, checkId: string): RegistryState {
  const found = findCheck(state, checkId)
  if (!found) return state
  return change(state, found.entry?.service.id, (checks) => checks.filter((check) => check !== found.check))
}

function report(
  state: RegistryState,
  { serviceId, checkId, status, output }: RegistryEvent & { type: 'report' },
  now: number,
): RegistryState {
  const found = serviceId === undefined ? findCheck(state, checkId) : checkOf(state, serviceId, checkId)
  if (!found) return state
  const { entry, check } = found
  const next = withStatus(check, status, output, now)
  const replaced = (checks: readonly CheckRecord[]) => checks.map((each) => (each === check ? next : each))
  if (status !== check.status) return change(state, entry?.service.id, replaced)
  // A heartbeat alone wakes nobody.
  if (entry) return { ...state, entries: new Map(state.entries).set(entry.service.id, { ...entry, checks: replaced(entry.checks) }) }
  const own = ownNode(state)
  return { ...state, nodes: new Map(state.nodes).set(localNode, { ...own, checks: replaced(own.checks) }) }
}

function maintain(state: RegistryState, id: string | undefined, reason: string | undefined, now: number): RegistryState {
  return change(state, id, (checks) => {
    const others = checks.filter(({ kind }) => kind.type !== 'maintenance')
    if (reason === undefined) return others.length === checks.length ? checks : others
    const definition = id === undefined ? nodeMaintenanceCheck(reason) : maintenanceCheck(id, reason)
    return [...others, startCheck(definition, undefined, now)]
  })
}

function tick(state: RegistryState, now: number): RegistryState {
  const entries = new Map<string, Entry | undefined>()
  for (const [key, entry] of state.entries) {
    const checks = expired(entry.checks, now)
    if (checks) entries.set(key, checks.some((check) => isOverdue(check, now)) ? undefined : { ...entry, checks })
  }
  const nodes = new Map<string, NodeRecord>()
  for (const [name, node] of state.nodes) {
    // A check of the node takes nobody out: there is no instance it is of.
    const checks = expired(node.checks, now)
    if (checks) nodes.set(name, { ...node, checks })
  }
  if (entries.size === 0 && nodes.size === 0) return state
  return write(state, nodes.size > 0 ? { entries, nodes } : { entries })
}

/** The checks after those whose time is up expired; `undefined` when nothing is due. */
function expired(checks: readonly CheckRecord[], now: number): readonly CheckRecord[] | undefined {
  if (!checks.some((check) => (dueAtOf(check) ?? Number.POSITIVE_INFINITY) <= now)) return undefined
  return checks.map((check) => (isExpired(check, now) ? expire(check) : check))
}

/** Nobody waits for deadlines, so this is no change that has an index. */
function resume(state: RegistryState, now: number): RegistryState {
  const renewed = <Holder extends { checks: readonly CheckRecord[] }>(holder: Holder): Holder => ({
    ...holder,
    checks: holder.checks.map((check) => afterAbsence(check, now)),
  })
  const all = <Holder extends { checks: readonly CheckRecord[] }>(holders: ReadonlyMap<string, Holder>) =>
    new Map([...holders].map(([key, holder]) => [key, renewed(holder)]))
  return { ...state, entries: all(state.entries), nodes: all(state.nodes) }
}

/** Gives the checks of an instance, or without `id` of the registry's node, a new list; the same list means no change. */
function change(
  state: RegistryState,
  id: string | undefined,
  next: (checks: readonly CheckRecord[]) => readonly CheckRecord[],
): RegistryState {
  const holder = id === undefined ? ownNode(state) : state.entries.get(id)
  if (!holder) return state
  const checks = next(holder.checks)
  if (checks === holder.checks) return state
  if ('service' in holder) return write(state, { entries: new Map([[holder.service.id, { ...holder, checks }]]) })
  return write(state, { nodes: new Map([[localNode, { ...holder, checks }]]) })
}

function* holders(state: RegistryState): Iterable<Entry | NodeRecord> {
  yield* state.entries.values()
  yield* state.nodes.values()
}

function checkIn(entry: Entry, checkId: string): { entry: Entry; check: CheckRecord } | undefined {
  const check = entry.checks.find(({ id }) => id === checkId)
  return check && { entry, check }
}
