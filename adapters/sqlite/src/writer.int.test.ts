import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { sqlite } from './database.ts'

/** Reads a file that is not in WAL yet, and holds on to it: nobody can turn it to WAL meanwhile, and SQLite does not wait for that. */
const HOLDER = `
  const { DatabaseSync } = require('node:sqlite')
  const { parentPort, workerData } = require('node:worker_threads')
  const handle = new DatabaseSync(workerData)
  handle.exec('create table there (id integer); begin; insert into there values (1)')
  parentPort.postMessage('held')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
  handle.exec('commit')
  handle.close()
`

it('opens a file that another one holds for a moment in a way SQLite does not wait for, as when many recover it after a crash', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-open-'))
  const file = join(folder, 'held.db')
  const holder = new Worker(HOLDER, { eval: true, workerData: file })
  try {
    await new Promise((resolve, reject) => holder.once('message', resolve).once('error', reject))
    const database = sqlite(file)
    expect(await database.read((tx) => tx.sql`select id from there`)).toEqual([{ id: 1 }])
    await database.close()
  } finally {
    await holder.terminate()
    rmSync(folder, { recursive: true, force: true })
  }
})
