import { type CheckRecord, type Entry, localNode, type NodeRecord } from './registry-records.ts'

/** All that a registry knows. Times are those of `World.monotonic`. */
export interface RegistryState {
  /** Grows by one with each change that somebody may wait for. Starts at 1, or beyond all that an earlier life gave out. */
  readonly index: number
  /** That of services never heard of, or forgotten: the index at its start, or when names were forgotten last. */
  readonly origin: number
  /** By {@link keyOf}; for those of the registry's own node that is their id. */
  readonly entries: ReadonlyMap<string, Entry>
  /** By name; the registry's own is always there. */
  readonly nodes: ReadonlyMap<string, NodeRecord>
  /** When each service last changed, as an index; kept for a while after its last instance went, so that those who wait hear of it. */
  readonly changed: ReadonlyMap<string, number>
}

/** A change of some entries and nodes; `undefined` takes one out. */
export interface Changes {
  readonly entries?: ReadonlyMap<string, Entry | undefined>
  readonly nodes?: ReadonlyMap<string, NodeRecord | undefined>
}

/** A registry that knows nothing but itself. */
export function newRegistry(index: number): RegistryState {
  const own: NodeRecord = { name: localNode, address: '', meta: {}, checks: [], createIndex: index, modifyIndex: index }
  return { index, origin: index, entries: new Map(), nodes: new Map([[localNode, own]]), changed: new Map() }
}

/** Where an instance is in {@link RegistryState.entries}. */
export function keyOf(node: string, id: string): string {
  return node === localNode ? id : `${node}\n${id}`
}

/** The index of a service, for blocking queries. */
export function indexOf(state: RegistryState, service: string): number {
  return state.changed.get(service) ?? state.origin
}

/** The registry's own node. */
export function ownNode(state: RegistryState): NodeRecord {
  const own = state.nodes.get(localNode)
  if (own) return own
  throw new Error(`the registry has lost its own node "${localNode}"`)
}

/** All checks that count for an instance: its own and those of its node. */
export function checksOf(state: RegistryState, entry: Entry): readonly CheckRecord[] {
  const ofNode = state.nodes.get(entry.node)?.checks ?? []
  return ofNode.length === 0 ? entry.checks : [...ofNode, ...entry.checks]
}

/** Makes changes as one, with one index. A change of a node is one of every service on it. */
export function write(state: RegistryState, { entries: changedEntries, nodes: changedNodes }: Changes): RegistryState {
  const index = state.index + 1
  const entries = new Map(state.entries)
  const changed = new Map(state.changed)
  for (const [key, entry] of changedEntries ?? []) {
    const old = entries.get(key)
    if (old) changed.set(old.service.name, index)
    if (entry) {
      changed.set(entry.service.name, index)
      entries.set(key, { ...entry, createIndex: entry.createIndex || index, modifyIndex: index })
    } else entries.delete(key)
  }
  if (!changedNodes) return forgetful({ ...state, index, entries, changed })
  const nodes = new Map(state.nodes)
  for (const [name, node] of changedNodes) {
    if (node) nodes.set(name, { ...node, createIndex: node.createIndex || index, modifyIndex: index })
    else nodes.delete(name)
    for (const { node: at, service } of entries.values()) if (at === name) changed.set(service.name, index)
  }
  return forgetful({ ...state, index, entries, nodes, changed })
}

/** So many names are kept in any case. */
const fewNames = 1_000

/**
 * The state without the names that have no instance any more, once they are the most: names come and go (of branches, of tests) for as long as
 * the registry lives. Who waits for one of them hears of the new `origin`, which is beyond all indexes given out, and waits again.
 */
function forgetful(state: RegistryState): RegistryState {
  if (state.changed.size <= fewNames + 2 * state.entries.size) return state
  const names = new Set([...state.entries.values()].map(({ service }) => service.name))
  return { ...state, origin: state.index, changed: new Map([...state.changed].filter(([name]) => names.has(name))) }
}
