import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '@banyan/core'
import type { FlowRecord } from '@banyan/saga/internal'
import { flowStorePort } from '@banyan/saga/internal'
import { sqlite } from '@banyan/sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runProgram } from '../program.ts'

const folder = mkdtempSync(join(tmpdir(), 'banyan-cli-flow-'))
const file = join(folder, 'orders.db')
const example = fileURLToPath(new URL('../test/flows.ts', import.meta.url))

const event = (type: string, at: number) => ({ id: `${type} of o1`, type, time: at, cause: undefined, seenAt: at + 1 })
const stopped: FlowRecord = {
  ...{ flow: 'checkout', correlationId: 'o1', version: 1, createdAt: 0, updatedAt: 60_000 },
  state: {
    status: 'stopped',
    events: [event('order.created', 0), event('stock.reserved', 1_000)],
    more: 0,
    standsAt: 'stock.reserved',
    flags: [{ kind: 'stopped', event: 'stock.reserved', detail: 'no end within 1000 ms', at: 60_000 }],
    wakeAt: undefined,
  },
}

beforeAll(async () => {
  const database = sqlite(file, { log: silentLogger })
  await database.transaction(async (tx) => {
    const store = tx.store(flowStorePort)
    await store.save(tx, stopped)
    await store.save(tx, { ...stopped, correlationId: 'o2', state: { status: 'ignored' } })
  })
  await database.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const write = (text: string) => {
    out += text
  }
  const writeError = (text: string) => {
    err += text
  }
  return { status: await runProgram(['flow', ...args], { write, writeError }), out, err }
}

describe('banyan flow', () => {
  it('lists, shows, and acknowledges', async () => {
    const listed = await run('list', '--db', file, '--flagged')
    expect(listed.out).toContain('checkout/1  o1')
    expect(listed.out).toContain('stopped: no end within 1000 ms')
    expect(listed.out).not.toContain('o2')
    expect((await run('list', '--db', file, '--status', 'ignored', '--json')).out).toContain('"correlationId":"o2"')
    const shown = await run('show', 'checkout', 'o1', '--db', file)
    expect(shown.out).toContain('flow checkout, version 1, of o1: stopped')
    expect(shown.out).toContain('1970-01-01T00:00:01.000Z  1970-01-01T00:00:01.001Z  stock.reserved')
    const seen = await run('ack', 'checkout', 'o1', '--db', file, '--by', 'ada', '--why', 'shipped by hand')
    expect([seen.status, seen.out]).toEqual([0, 'flow checkout of o1 is stopped, 0 flags open\n'])
    expect((await run('list', '--db', file, '--flag', 'stopped')).out).toBe('no flow is flagged\n')
    expect((await run('show', 'checkout', 'o1', '--db', file)).out).toContain('stock.reserved  ada  shipped by hand')
    expect(await run('ack', 'checkout', 'o1', '--db', file, '--why', 'again')).toMatchObject({ status: 1 })
  })

  it('takes no empty --name for one that was left out', async () => {
    for (const args of [
      ['list', '--db', file],
      ['diagram', example],
    ]) {
      const { status, out, err } = await run(...args, '--name', '')
      expect([status, out]).toEqual([2, ''])
      expect(err).toContain('Wanted a text that is not empty.')
    }
  })

  it('draws the flows of a module', async () => {
    const { status, out } = await run('diagram', example)
    expect(status).toBe(0)
    expect(out).toContain('flowchart LR\n  e0_0(["order.created"])')
    expect(out.match(/flowchart/g)).toHaveLength(1)
    expect((await run('diagram', example, '--name', 'checkot')).err).toContain('did you mean "checkout"?')
    expect((await run('diagram', fileURLToPath(import.meta.resolve('../table.ts')))).err).toContain(
      'exports no flow; wanted an export made by flow()',
    )
    const nowhere = await run('diagram', 'no/such/flow.ts')
    expect(nowhere.status).toBe(2)
    expect(nowhere.err).toContain('cannot read "no/such/flow.ts"')
  })
})
