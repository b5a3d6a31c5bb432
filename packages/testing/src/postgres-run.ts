import { inject } from 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where `postgres-setup.ts` gives databases away. */
    banyanPostgres: string
  }
}

/** A database of a test's own. */
export interface TestDatabase {
  readonly url: string
  /** Removes it, whoever is connected to it. */
  drop(): Promise<void>
}

/**
 * An empty database on the PostgreSQL server of this test run, which starts with the first call and is shared by all workers. Needs
 * `globalSetup: '@banyan/testing/postgres-setup'` in the configuration of vitest.
 *
 * @throws {Error} what `startPostgres` throws
 */
export async function testPostgres(): Promise<TestDatabase> {
  const door: string | undefined = inject('banyanPostgres')
  if (!door)
    throw new Error('cannot give a test database: wanted "globalSetup: \'@banyan/testing/postgres-setup\'" in the configuration of vitest')
  const url = await ask(door, 'POST', '')
  return { url, drop: async () => void (await ask(door, 'DELETE', url)) }
}

async function ask(door: string, method: string, body: string): Promise<string> {
  const answer = await fetch(door, { method, ...(body && { body }) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
}
