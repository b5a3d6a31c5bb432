/** What is used of a channel of `node:diagnostics_channel`. */
export interface Channel {
  readonly hasSubscribers: boolean
  publish(message: unknown): void
  subscribe(listener: (message: unknown) => void): void
  unsubscribe(listener: (message: unknown) => void): void
}

/**
 * The diagnostics channel of this name, where the runtime has diagnostics channels (Node, Deno, Bun, workers that are compatible with
 * Node); elsewhere one of our own. The only place of this room that knows of Node: asked for and not imported, so that browsers and
 * bundlers find nothing to resolve.
 */
export function channel(name: string): Channel {
  const runtime: { process?: { getBuiltinModule?: (id: string) => unknown } } = globalThis
  const builtin = runtime.process?.getBuiltinModule?.('node:diagnostics_channel') as { channel(name: string): Channel } | undefined
  return builtin?.channel(name) ?? ownChannel()
}

/** A channel of this process's own, for runtimes without any. */
export function ownChannel(): Channel {
  const listeners = new Set<(message: unknown) => void>()
  return {
    get hasSubscribers() {
      return listeners.size > 0
    },
    publish(message) {
      for (const listener of listeners) {
        try {
          listener(message)
        } catch (error) {
          // As Node does: an uncaught exception of the listener's own, which does not touch the call.
          queueMicrotask(() => {
            throw error
          })
        }
      }
    },
    subscribe: (listener) => void listeners.add(listener),
    unsubscribe: (listener) => void listeners.delete(listener),
  }
}
