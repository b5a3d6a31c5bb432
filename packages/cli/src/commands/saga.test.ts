import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ComponentContext, refuse, silentLogger, systemWorld } from '@banyan/core'
import { nothing, runSagas, saga, sagas, startSaga } from '@banyan/saga'
import { sqlite } from '@banyan/sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { runProgram } from '../program.ts'

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-cli-saga-'))
  file = join(folder, 'orders.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const write = (text: string) => {
    out += text
  }
  const writeError = (text: string) => {
    err += text
  }
  return { status: await runProgram(['saga', ...args], { write, writeError }), out, err }
}

const child = saga<{ n: number }>('child', { version: 1, key: ({ n }) => `${n}` })
  .step('one', { do: () => refuse('no'), undo: nothing('x') })
  .done(() => 5)

const order = saga<{ orderId: string }>('order', { version: 1, key: ({ orderId }) => orderId })
  .approve('boss', { withinMs: 60_000, otherwise: 'undo' })
  .pivot('pay', { do: (c) => c.boss.value })
  .child('label', child, { input: () => ({ n: 1 }) })
  .step('mail', { do: (c) => `${c.label} for ${c.input.orderId}` })
  .done((c) => c.mail)

/** The orders service, as long as it takes until `done`. */
async function service<T>(done: (admin: ReturnType<typeof sagas>) => Promise<T>): Promise<T> {
  const database = sqlite(file, { log: silentLogger })
  const worker = runSagas([order, child], { pollMs: 10 })
  const context: ComponentContext = { service: 'orders', instanceId: 'i', world: systemWorld, log: silentLogger, database, bus: undefined }
  try {
    await worker.start(context)
    await startSaga(database, order, { orderId: 'o1' })
    return await vi.waitFor(() => done(sagas(database)), { timeout: 5_000 })
  } finally {
    await worker.stop()
    await database.close()
  }
}

const orderIs = (status: string) =>
  service(async (admin) => {
    const [found] = await admin.list({ name: 'order' })
    expect(found?.status).toBe(status)
    return found?.id ?? ''
  })

describe('banyan saga', () => {
  it('approves, edits and overrides with JSON, and keeps who and why', async () => {
    const id = await orderIs('waiting')
    expect(await run('list', '--db', file)).toMatchObject({ status: 0, out: expect.stringContaining('boss') })
    const approved = await run('approve', id, '--db', file, '--by', 'ada', '--why', 'fine', '--value', '{"limit":5}')
    expect(approved).toMatchObject({ status: 0, out: expect.stringContaining(`saga ${id} is waiting at step "boss" now`) })
    await orderIs('stuck')
    expect(await run('edit', id, '--db', file, '--by', 'ada', '--why', 'typo', '--value', '{"orderId":"o2"}')).toMatchObject({ status: 0 })
    await orderIs('stuck')
    expect(await run('override', id, '--db', file, '--by', 'bob', '--why', 'by hand', '--value', '"label 7"')).toMatchObject({ status: 0 })
    await orderIs('completed')
    const { out } = await run('show', id, '--db', file)
    expect(out).toContain('"output": "label 7 for o2"')
    expect(out).toMatch(/override +label +bob +by hand/)
    expect(out).toMatch(/approve +boss +ada +fine/)
  })

  it('rejects and cancels', async () => {
    const id = await orderIs('waiting')
    const cancelled = await run('cancel', id, '--db', file, '--by', 'ada', '--why', 'no more')
    // It had nothing to undo, so there is nothing left for a worker.
    expect(cancelled).toMatchObject({ status: 0, out: `saga ${id} is compensated now\n` })
    await orderIs('compensated')
    const again = await run('cancel', id, '--db', file, '--by', 'ada', '--why', 'no more')
    expect(again).toMatchObject({ status: 1, err: expect.stringContaining('it is on its way back, or there, already') })
    expect(await run('reject', id, '--db', file, '--by', 'ada', '--why', 'x')).toMatchObject({ status: 1 })
  })

  it.each(['--name', '--key'])('takes no empty %s for one that was left out', async (option) => {
    await orderIs('waiting')
    const { status, out, err } = await run('list', '--db', file, option, '')
    expect([status, out]).toEqual([2, ''])
    expect(err).toContain('Wanted a text that is not empty.')
  })

  it('says what is missing', async () => {
    await orderIs('waiting')
    expect((await run('override', 'x', '--db', file, '--why', 'x')).err).toContain("required option '--value <json>' not specified")
    expect((await run('edit', 'x', '--db', file, '--why', 'x', '--value', '{')).err).toContain('Wanted JSON')
    expect((await run('approve', 'x', '--db', file, '--why', 'x')).err).toContain('there is no saga "x"')
    for (const action of ['retry', 'skip', 'override', 'edit', 'undo', 'cancel', 'approve', 'reject'])
      expect((await run(action, '--help')).out, action).toContain('--why <reason>')
  })
})
