import { keyOf, type RegistryState, write } from './registry-index.ts'
import {
  type CheckDefinition,
  type CheckRecord,
  type Entry,
  type NodeRecord,
  type ServiceRecord,
  sayTheSame,
  startCheck,
} from './registry-records.ts'

/** What `catalog/register` tells: a node, perhaps a service on it, perhaps checks of either. Nobody is asked whether it is so. */
export interface CatalogRegistration {
  readonly node: { readonly name: string; readonly address: string; readonly meta: Readonly<Record<string, string>> }
  readonly service: ServiceRecord | undefined
  /** Each with the id of the service it is about; empty: about the node. */
  readonly checks: readonly { readonly serviceId: string; readonly check: CheckDefinition }[]
}

/** What `catalog/deregister` takes out: a check, else a service, else the node with all that is on it. */
export interface CatalogDeregistration {
  readonly node: string
  readonly serviceId: string
  readonly checkId: string
}

/**
 * The registry after a registration in its catalog. Checks that are not named stay as they were. What says nothing new changes nothing, as in
 * Consul: those who fill the catalog tell it all again and again.
 */
export function catalogRegister(state: RegistryState, { node, service, checks }: CatalogRegistration, now: number): RegistryState {
  const known = state.nodes.get(node.name)
  const own = checks.filter(({ serviceId }) => serviceId === '').map(({ check }) => check)
  const nodeAfter: NodeRecord = {
    ...node,
    checks: merged(known?.checks ?? [], own, now),
    createIndex: known?.createIndex ?? 0,
    modifyIndex: 0,
  }
  const entries = new Map<string, Entry>()
  const entryOf = (id: string) => entries.get(keyOf(node.name, id)) ?? state.entries.get(keyOf(node.name, id))
  if (service) {
    const before = entryOf(service.id)
    const entry = { node: node.name, service, checks: before?.checks ?? [], createIndex: before?.createIndex ?? 0, modifyIndex: 0 }
    entries.set(keyOf(node.name, service.id), entry)
  }
  for (const { serviceId, check } of checks) {
    const entry = serviceId === '' ? undefined : entryOf(serviceId)
    if (entry) entries.set(keyOf(node.name, serviceId), { ...entry, checks: merged(entry.checks, [check], now) })
  }
  const changed = new Map([...entries].filter(([key, entry]) => !isSameEntry(state.entries.get(key), entry)))
  if (!known || !isSameNode(known, nodeAfter)) return write(state, { entries: changed, nodes: new Map([[node.name, nodeAfter]]) })
  return changed.size > 0 ? write(state, { entries: changed }) : state
}

/** The registry without what a deregistration names; as it was when there is nothing of that name. */
export function catalogDeregister(state: RegistryState, { node, serviceId, checkId }: CatalogDeregistration): RegistryState {
  const known = state.nodes.get(node)
  if (!known) return state
  if (checkId !== '') return withoutCheck(state, known, checkId)
  if (serviceId !== '') {
    const key = keyOf(node, serviceId)
    return state.entries.has(key) ? write(state, { entries: new Map([[key, undefined]]) }) : state
  }
  const gone = [...state.entries].filter(([, entry]) => entry.node === node).map(([key]) => [key, undefined] as const)
  return write(state, { entries: new Map(gone), nodes: new Map([[node, undefined]]) })
}

function withoutCheck(state: RegistryState, node: NodeRecord, checkId: string): RegistryState {
  const others = (checks: readonly CheckRecord[]) => checks.filter(({ id }) => id !== checkId)
  if (others(node.checks).length < node.checks.length)
    return write(state, { nodes: new Map([[node.name, { ...node, checks: others(node.checks) }]]) })
  const of = [...state.entries].find(([, entry]) => entry.node === node.name && others(entry.checks).length < entry.checks.length)
  return of ? write(state, { entries: new Map([[of[0], { ...of[1], checks: others(of[1].checks) }]]) }) : state
}

/** The checks with those of `definitions` in the place of what had their ids, or at the end. */
export function merged(before: readonly CheckRecord[], definitions: readonly CheckDefinition[], now: number): readonly CheckRecord[] {
  const old = new Map(before.map((check) => [check.id, check]))
  const fresh = new Map(definitions.map((check) => [check.id, startCheck(check, old.get(check.id), now)]))
  return [...before.map((check) => fresh.get(check.id) ?? check), ...[...fresh.values()].filter(({ id }) => !old.has(id))]
}

function isSameNode(one: NodeRecord, two: NodeRecord): boolean {
  return one.address === two.address && JSON.stringify(one.meta) === JSON.stringify(two.meta) && sayTheSame(one.checks, two.checks)
}

function isSameEntry(one: Entry | undefined, two: Entry): boolean {
  return JSON.stringify(one?.service) === JSON.stringify(two.service) && sayTheSame(one?.checks ?? [], two.checks)
}
