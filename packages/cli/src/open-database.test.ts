import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { silentLogger } from '@banyan/core'
import { sqlite, sqliteBus } from '@banyan/sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runProgram } from './program.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-cli-tables-'))
  file = join(folder, 'foreign.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const status = await runProgram(args, {
    write: (text) => {
      out += text
    },
    writeError: (text) => {
      err += text
    },
  })
  return { status, out, err }
}

/** Everything in the folder, byte by byte. */
const content = () => readdirSync(folder).map((name) => [name, readFileSync(join(folder, name)).toString('base64')])

function foreignFile(journal: 'delete' | 'wal') {
  const database = new DatabaseSync(file)
  database.exec(`pragma journal_mode = ${journal}; create table if not exists users (id integer primary key)`)
  return database
}

const COMMANDS = [
  ['saga', 'list'],
  ['saga', 'show', 'some-id'],
  ['saga', 'retry', 'some-id', '--why', 'x'],
  ['flow', 'list'],
  ['dead-letters', 'list'],
  ['dead-letters', 'redrive', '--all', '--why', 'x'],
]

describe('a command that is pointed at what is no database of a service', () => {
  it.each(COMMANDS)('says so and writes nothing: %s %s', async (...words) => {
    foreignFile('delete').close()
    const before = content()
    const { status, out, err } = await run(...words, '--db', file)
    expect({ status, out }).toEqual({ status: 1, out: '' })
    expect(err).toContain(`"${file}" is no database of a Banyan service`)
    expect(content()).toEqual(before)
  })

  it('leaves nothing beside a file that has had a log, and nothing in one whose log is in use', async () => {
    foreignFile('wal').close()
    const before = content()
    expect(await run('saga', 'list', '--db', file)).toMatchObject({ status: 1 })
    expect(content()).toEqual(before)
    const database = foreignFile('wal')
    database.exec('create table orders (id integer primary key)')
    expect(await run('saga', 'list', '--db', file)).toMatchObject({ status: 1 })
    expect(database.prepare("select name from sqlite_schema where type = 'table'").all()).toEqual([{ name: 'users' }, { name: 'orders' }])
    database.close()
  })

  it.each([
    ['an empty file', ''],
    ['a text', 'id,name\n1,ada\n'.repeat(100)],
  ])('knows %s for none', async (_what, text) => {
    writeFileSync(file, text)
    const { status, err } = await run('saga', 'list', '--db', file)
    expect(status).toBe(1)
    expect(err).toContain('is no database of a Banyan service')
    expect(readFileSync(file, 'utf8')).toBe(text)
    expect(readdirSync(folder)).toEqual(['foreign.db'])
  })

  it('knows the file of a bus for none', async () => {
    const bus = sqliteBus(file, { log: silentLogger })
    await bus.close()
    const { status, err } = await run('saga', 'list', '--db', file)
    expect(status).toBe(1)
    expect(err).toContain('is no database of a Banyan service')
  })

  it('makes no file where there is none', async () => {
    expect(await run('saga', 'list', '--db', file)).toMatchObject({ status: 1, err: expect.stringContaining('there is no database') })
    expect(readdirSync(folder)).toEqual([])
  })

  it('says which URLs there are, without the one it was given', async () => {
    const { status, err } = await run('saga', 'list', '--db', 'mysql://ada:secret@host/orders')
    expect(status).toBe(2)
    expect(err).toBe('--db begins with "mysql://", wanted postgres:// or postgresql://, or a file of SQLite\n')
  })
})

describe("a command that is pointed at a service's database", () => {
  it('reads it, also while the service has it open and all of it is in the log', async () => {
    const database = sqlite(file, { log: silentLogger })
    expect(await run('saga', 'list', '--db', file)).toEqual({ status: 0, out: 'no sagas\n', err: '' })
    await database.close()
    expect(await run('dead-letters', 'list', '--db', file)).toEqual({ status: 0, out: 'no dead letters\n', err: '' })
  })

  it.each([
    ['saga', 'show', '99'],
    ['saga', 'retry', '99', '--why', 'x'],
    ['dead-letters', 'show', '99'],
    ['dead-letters', 'redrive', '99', '--why', 'x'],
    ['dead-letters', 'discard', '99', '--why', 'x'],
  ])('ends with 1 where it has nothing of the id: %s %s', async (...words) => {
    await sqlite(file, { log: silentLogger }).close()
    const { status, err } = await run(...words, '--db', file)
    expect(status).toBe(1)
    expect(err).toContain('99')
  })
})
