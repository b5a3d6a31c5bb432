import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@banyan/core'
import { afterEach, beforeEach } from 'vitest'
import { openDatabase, sqlite } from '../database.ts'
import { banyanMigrations } from '../migrations.ts'
import type { SqliteDatabase } from '../sqlite-database.ts'
import { stores } from '../stores.ts'

/** A folder for each test, whose files processes of this version open and of the one before a migration; all are closed at its end. */
export interface Versions {
  file(name?: string): string
  open(name?: string): SqliteDatabase
  openBefore(name?: string): SqliteDatabase
}

/** Of the migration with this id. */
export function versionsAround(migration: string): Versions {
  const before = banyanMigrations.slice(
    0,
    banyanMigrations.findIndex(({ id }) => id === migration),
  )
  let folder: string
  let opened: SqliteDatabase[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'banyan-versions-'))
    opened = []
  })
  afterEach(async () => {
    await Promise.all(opened.map((one) => one.close()))
    rmSync(folder, { recursive: true, force: true })
  })

  function kept(database: SqliteDatabase): SqliteDatabase {
    opened.push(database)
    return database
  }

  const file = (name = 'orders') => join(folder, `${name}.db`)
  return {
    file,
    open: (name) => kept(sqlite(file(name), { log: silentLogger })),
    openBefore: (name) => kept(openDatabase(file(name), { log: silentLogger }, { migrations: before, stores })),
  }
}
