import { createRequire } from 'node:module'

/** What this file touches of a connection of `pg`. */
interface ConnectionPrototype {
  query(...args: unknown[]): unknown
  execute(...args: unknown[]): unknown
}

/**
 * Counts the statements this process sends from now on through any copy of `pg`: the peers', and that of our adapter.
 *
 * @returns how many there were so far
 */
export function countStatements(): () => number {
  let count = 0
  const homes = [import.meta.url, new URL('../adapters/postgres/package.json', import.meta.url)]
  const prototypes = new Set(
    homes.map((home) => {
      const { Connection }: { Connection: { prototype: ConnectionPrototype } } = createRequire(home)('pg')
      return Connection.prototype
    }),
  )
  for (const prototype of prototypes) {
    // `query` sends a text of its own, `execute` a prepared one: each statement goes through one of the two.
    for (const method of ['query', 'execute'] as const) {
      const original = prototype[method]
      prototype[method] = function counted(this: ConnectionPrototype, ...args: unknown[]) {
        count += 1
        return original.apply(this, args)
      }
    }
  }
  return () => count
}
