import type { Instance } from '@banyan/core'
import { keyText, readStored } from './etcd-instance.ts'
import { fieldOf, integerOf, listOf, textOf } from './fields.ts'

/** What is known of a service's keys. */
export interface EtcdView {
  /** etcd's revision as of which it is known. */
  readonly revision: number
  /** By key. */
  readonly instances: ReadonlyMap<string, Instance>
  /**
   * Ids that went without having said so, with the last message: their leases ended. Whoever watches may keep them for a while, should many
   * go at once.
   */
  readonly lost: ReadonlySet<string>
}

/** The view of an answer of `kv/range`. */
export function viewOf(answer: unknown): EtcdView {
  const instances = new Map<string, Instance>()
  for (const kv of listOf(answer, 'kvs')) {
    const stored = readStored(kv)
    if (stored && !stored.leaving) instances.set(stored.key, stored.instance)
  }
  return { revision: revisionOf(answer), instances, lost: new Set() }
}

/** The view after a message of a watch. */
export function afterMessage(view: EtcdView, message: unknown): EtcdView {
  const instances = new Map(view.instances)
  const lost = new Set<string>()
  for (const event of listOf(message, 'events')) {
    const kv = fieldOf(event, 'kv')
    const key = keyText(kv)
    const known = instances.get(key)
    instances.delete(key)
    // A put has no type: 0 is left out of JSON.
    if (textOf(event, 'type') === 'DELETE') {
      if (known) lost.add(known.id)
      continue
    }
    const stored = readStored(kv)
    if (stored && !stored.leaving) {
      instances.set(key, stored.instance)
      lost.delete(stored.instance.id)
    }
  }
  return { revision: Math.max(view.revision, revisionOf(message)), instances, lost }
}

function revisionOf(answer: unknown): number {
  return integerOf(fieldOf(answer, 'header'), 'revision')
}
