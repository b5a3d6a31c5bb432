import type { Instance, Registry, Snapshot, World } from '@banyan/core'
import type { SimulatedHost } from './balance-host.ts'

/** A registry that lists the hosts as they come and go, told at once. Registering changes nothing. */
export function simulatedRegistry(hosts: readonly SimulatedHost[], service: string, world: World): Registry {
  const instances = hosts.map((host, index): Instance => {
    const { id, weight, zone } = host
    return { id, service, host: id, port: index + 1, ...(weight !== undefined && { weight }), ...(zone !== undefined && { zone }) }
  })
  const turns = [...new Set(hosts.flatMap(({ joinsAtMs = 0, leavesAtMs = 0 }) => [joinsAtMs, leavesAtMs]))].filter((at) => at > 0)
  const listedAt = (atMs: number) =>
    instances.filter((_, index) => {
      const { joinsAtMs = 0, leavesAtMs = Number.POSITIVE_INFINITY } = hosts[index] ?? {}
      return joinsAtMs <= atMs && atMs < leavesAtMs
    })
  return {
    register: () => Promise.resolve({ deregister: () => Promise.resolve() }),
    watch(_service, onChange) {
      let revision = 0
      const tell = (atMs: number) => {
        revision += 1
        const snapshot: Snapshot = { instances: listedAt(atMs), revision, stale: false }
        onChange(snapshot)
      }
      const timers = [0, ...turns].map((at) => world.after(at, () => tell(at)))
      return {
        stop() {
          for (const timer of timers) timer.cancel()
        },
      }
    },
  }
}
