import type { Instance } from '@banyan/core'
import { keyText, readStored } from './etcd-instance.ts'
import { fieldOf, integerOf, listOf, textOf } from './fields.ts'

/** What is known of a service's keys. */
export interface EtcdView {
  /** etcd's revision as of which it is known. */
  readonly revision: number
  /** The revision of the listing it began with. A message may carry older events, and names a later revision than theirs itself. */
  readonly listedAt: number
  /** By key. */
  readonly instances: ReadonlyMap<string, Instance>
  /**
   * Ids that went without having said so, with the last messages: their leases ended. Whoever watches may keep them for a while, should many
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
  const revision = revisionOf(answer)
  return { revision, listedAt: revision, instances, lost: new Set() }
}

/** The view after messages of a watch. */
export function afterMessages(view: EtcdView, messages: readonly unknown[]): EtcdView {
  const instances = new Map(view.instances)
  const lost = new Set<string>()
  for (const event of messages.flatMap((message) => listOf(message, 'events'))) {
    const kv = fieldOf(event, 'kv')
    // A listing made meanwhile knows of it already, and of what came after it.
    if (integerOf(kv, 'mod_revision') <= view.listedAt) continue
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
  return { ...view, revision: messages.map(revisionOf).reduce((one, two) => Math.max(one, two), view.revision), instances, lost }
}

function revisionOf(answer: unknown): number {
  return integerOf(fieldOf(answer, 'header'), 'revision')
}
