import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Bus, type Database, messageOf, silentLogger } from '@banyan/core'
import type { BusSite, DatabaseSite, SmallSite } from '@banyan/testing'
import { sqlite, sqliteBus } from '../index.ts'

// Places for the tests' databases. Not published.

/** The other processes of a test open their databases by this module. */
export const siteModule: string = import.meta.url

/** Opens a test's database. */
export function open(place: string, options: { transactionTimeoutMs?: number } = {}): Database {
  return sqlite(place, { log: silentLogger, ...options })
}

/** Opens a test's bus. */
export function openBus(place: string): Bus {
  return sqliteBus(place, { log: silentLogger })
}

/** A file in a new folder. */
export async function createSite(): Promise<DatabaseSite> {
  const folder = await mkdtemp(join(tmpdir(), 'banyan-sqlite-'))
  const place = join(folder, 'test.db')
  return { place, open: (options) => open(place, options), remove: () => rm(folder, { recursive: true }) }
}

/** A bus in a new folder. */
export async function createBusSite(): Promise<BusSite> {
  const { place, remove } = await createSite()
  return {
    place,
    open: () => openBus(place),
    async putRaw(type, raw) {
      const file = new DatabaseSync(place, { timeout: 5_000 })
      const insert = 'insert into banyan_bus_events (type, partition, stored_at, id, subject, raw) values (?, 0, 0, ?, ?, ?)'
      file.prepare(insert).run(type, 'raw', 'raw', raw)
      file.close()
    },
    remove,
  }
}

/** A real small disk where this process may mount one, else a file that SQLite does not let grow. */
export async function createSmallSite(): Promise<SmallSite> {
  const site = await createSite()
  const folder = dirname(site.place)
  if (!mountSmall(folder)) return cappedSite(site)
  const filler = join(folder, 'filler')
  writeFileSync(filler, Buffer.alloc(800_000))
  return {
    ...site,
    async makeRoom() {
      rmSync(filler)
    },
    async remove() {
      execFileSync('umount', [folder])
      await site.remove()
    },
  }
}

function mountSmall(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1400k', 'tmpfs', folder], { stdio: 'pipe' })
    return true
  } catch (error) {
    console.info(`cannot mount a small disk, using a capped file instead: ${messageOf(error)}`)
    return false
  }
}

function cappedSite(site: DatabaseSite): SmallSite {
  let opened: Database | undefined
  return {
    ...site,
    open(options) {
      const database = site.open(options)
      opened = {
        ...database,
        async migrate(migrations) {
          await database.migrate([{ id: 'cap', sql: 'pragma max_page_count = 100' }, ...migrations])
        },
      }
      return opened
    },
    async makeRoom() {
      await opened?.migrate([{ id: 'room', sql: 'pragma max_page_count = 100000' }])
    },
  }
}
