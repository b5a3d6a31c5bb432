import { execFileSync } from 'node:child_process'
import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '@banyan/core'
import { type SmallSite, type TestDatabase, testPostgres } from '@banyan/testing'
import pg from 'pg'
import { open } from './site.ts'

// Places on a small disk. Not published.

const FILLER_BYTES = 600_000
const FREE_BYTES = 1_200_000

/**
 * Makes databases in a tablespace on a small disk: the server's own files, its log among them, are on another one, so that the server
 * refuses what there is no room for and goes on. Where this process may not mount a disk, says so.
 */
export function smallSiteMaker(server: () => Promise<TestDatabase> = testPostgres): (() => Promise<SmallSite>) | string {
  return whyNot() ?? (() => create(server))
}

function whyNot(): string | undefined {
  const folder = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim()
  try {
    mount(folder, 'size=64k')
    execFileSync('umount', [folder])
    return undefined
  } catch (error) {
    return `a small disk for PostgreSQL must be mounted, and this process may not (${messageOf(error).split('\n')[0]})`
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function create(server: () => Promise<TestDatabase>): Promise<SmallSite> {
  const { url, drop } = await server()
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  const { rows } = await admin.query<{ folder: string }>("select current_setting('data_directory') as folder")
  const { uid } = statSync(rows[0]?.folder ?? '')
  const folder = await mkdtemp(join(tmpdir(), 'banyan-small-'))
  const name = folder.replace(/\W/g, '_').toLowerCase()
  mount(folder, `size=64m,uid=${uid},mode=700`)
  await admin.query(`create tablespace "${name}" location '${folder}'`)
  await admin.query(`create database "${name}" template template0 tablespace "${name}"`)
  const place = Object.assign(new URL(url), { pathname: `/${name}` }).href
  const database = open(place)
  // Banyan's own tables are made while there is room.
  await database.migrate([])
  await database.close()
  await admin.query('checkpoint')
  const filler = join(folder, 'filler')
  writeFileSync(filler, Buffer.alloc(FILLER_BYTES))
  const { blocks, bfree, bsize } = statfsSync(folder)
  execFileSync('mount', ['-o', `remount,size=${(blocks - bfree) * bsize + FREE_BYTES}`, folder])

  return {
    place,
    open: (options) => open(place, options),
    async makeRoom() {
      rmSync(filler)
    },
    async remove() {
      await admin.query(`drop database "${name}" with (force)`)
      await admin.query(`drop tablespace "${name}"`)
      await admin.end()
      execFileSync('umount', [folder])
      await rm(folder, { recursive: true })
      await drop()
    },
  }
}

function mount(folder: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'pipe' })
}
