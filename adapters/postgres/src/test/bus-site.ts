import { type Bus, silentLogger } from '@banyan/core'
import { type BusSite, testPostgres } from '@banyan/testing'
import pg from 'pg'
import { postgresBus } from '../bus.ts'

// Places for the tests' buses. Not published.

/** The other processes of a test open their bus by this module. */
export const busModule: string = import.meta.url

/** Opens a test's bus. */
export function openBus(place: string): Bus {
  return postgresBus(place, { log: silentLogger })
}

/** A bus in a database of its own. */
export async function createBusSite(): Promise<BusSite> {
  const { url, drop } = await testPostgres()
  return {
    place: url,
    open: () => openBus(url),
    async putRaw(type, raw) {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      // Whoever appends takes the fence first.
      await client.query(
        `with fence as materialized (select pg_advisory_xact_lock_shared(1869968482, 'banyan_bus_position'::regclass::oid::int))
         insert into banyan_bus_events (position, type, partition, stored_at, raw)
         select nextval('banyan_bus_position'), $1, 0, 0, $2 from fence`,
        [type, raw],
      )
      await client.end()
    },
    remove: drop,
  }
}
