import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@banyan/core'
import { keyQueuePort, type NewParkedMessage } from '@banyan/messaging/internal'
import { sqlite } from '@banyan/sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runProgram } from '../program.ts'

const folder = mkdtempSync(join(tmpdir(), 'banyan-cli-dead-letters-'))
const file = join(folder, 'shipping.db')
const letter: NewParkedMessage = {
  group: 'shipping',
  lane: 'o1',
  messageId: 'm1',
  type: 'order.confirmed',
  key: 'o1',
  raw: '{}',
  traceId: undefined,
  parking: {
    kind: 'dead',
    attempts: 6,
    failure: {
      reason: 'failed',
      code: undefined,
      message: 'no address\n  in "o1"\u001b[2J\u009b',
      stack: undefined,
      firstAt: 1,
      lastAt: 2,
    },
  },
  parkedAt: 2,
}

beforeAll(async () => {
  const database = sqlite(file, { log: silentLogger })
  await database.transaction((tx) => tx.store(keyQueuePort).push(tx, letter))
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
  return { status: await runProgram(['dead-letters', ...args, '--db', file], { write, writeError }), out, err }
}

describe('banyan dead-letters', () => {
  it('says what a redrive and a discard would do without being told why', async () => {
    expect(await run('redrive', '--all', '--dry-run')).toEqual({ status: 0, out: 'would redrive 1: 1\n', err: '' })
    expect(await run('discard', '1', '--dry-run')).toEqual({ status: 0, out: 'would discard 1: 1\n', err: '' })
    expect((await run('list')).out).toContain('no address')
  })

  it('lists a dead letter in one line, whatever its error says', async () => {
    const { out } = await run('list')
    expect(out.split('\n')).toHaveLength(3)
    expect(out).toMatch(/ {2}no address\\n {2}in "o1"\\u001b\[2J\\u009b\n$/)
  })

  it('says that there are more than it lists', async () => {
    const database = sqlite(file, { log: silentLogger })
    await database.transaction((tx) => tx.store(keyQueuePort).push(tx, { ...letter, lane: 'o2', key: 'o2', messageId: 'm2' }))
    const more = 'and more; --limit says how many are listed\n'
    expect((await run('list', '--limit', '1')).out).toMatch(new RegExp(`^id .*\\n1 .*\\n${more}$`))
    expect((await run('list', '--limit', '2')).out).not.toContain(more)
    expect((await run('list', '--limit', '1', '--json')).out.trimEnd().split('\n')).toHaveLength(1)
    expect((await run('discard', '2', '--why', 'of this test')).status).toBe(0)
    await database.close()
  })

  it.each(['redrive', 'discard'])('asks why before it does %s anything, and does nothing until it is told', async (action) => {
    const { status, err } = await run(action, '1')
    expect(status).toBe(2)
    expect(err).toContain(`say why to ${action}: --why <reason>`)
    expect((await run('list')).out).toContain('no address')
  })

  it.each(['--group', '--type', '--key', '--why', '--by'])('takes no empty %s: it would mean all, or say nothing', async (option) => {
    const words = ['discard', '--all', ...(option === '--why' ? [] : ['--why', 'a test order']), option, '']
    const { status, out, err } = await run(...words)
    expect({ status, out }).toEqual({ status: 2, out: '' })
    expect(err).toContain(`option '${option} <`)
    expect((await run('list')).out).toContain('no address')
  })

  it('keeps the reason with the decision', async () => {
    expect(await run('redrive', '1', '--why', 'the address is known', '--by', 'ada')).toMatchObject({ status: 0, out: 'redrove 1: 1\n' })
    expect((await run('list')).out).toBe('no dead letters\n')
  })
})
