import type { Instance, Registry, Snapshot } from '@banyan/core'

/** A registry in memory, for services of one test. */
export function memoryRegistry(): Registry & { readonly instances: readonly Instance[] } {
  const instances = new Map<string, Instance>()
  const watchers = new Set<() => void>()
  let revision = 0
  const changed = () => {
    revision += 1
    for (const tell of watchers) tell()
  }
  return {
    get instances() {
      return [...instances.values()]
    },
    async register(instance) {
      instances.set(instance.id, instance)
      changed()
      return {
        async deregister() {
          if (instances.delete(instance.id)) changed()
        },
      }
    },
    watch(name, onChange) {
      const tell = () => {
        const snapshot: Snapshot = { instances: [...instances.values()].filter((each) => each.service === name), revision, stale: false }
        onChange(snapshot)
      }
      watchers.add(tell)
      queueMicrotask(tell)
      return { stop: () => void watchers.delete(tell) }
    },
  }
}
