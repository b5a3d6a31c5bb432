import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runProgram } from '../program.ts'

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const write = (text: string) => {
    out += text
  }
  const writeError = (text: string) => {
    err += text
  }
  return { status: await runProgram(['map', ...args], { write, writeError }), out, err }
}

const file = (name: string) => fileURLToPath(new URL(`../test/${name}.ts`, import.meta.url))

describe('banyan map', () => {
  it('draws what several modules export on one map, each thing once, with lines where they meet', async () => {
    const { status, out } = await run(...['flows', 'sagas/fine', 'sagas/meeting', 'sagas/explorable', 'sagas/fine', 'flows'].map(file))
    expect(status).toBe(0)
    const lines = out.split('\n').map((line) => line.trim())
    expect(lines.filter((line) => line.startsWith('subgraph')).map((line) => /"(.*)"/.exec(line)?.[1])).toEqual([
      'flow checkout, version 1',
      'saga fine, version 1',
      'saga meeting, version 1',
      'saga bonus, version 1',
    ])
    expect(lines.filter((line) => line.includes('==>'))).toEqual([
      'flow1_e1_0 ==>|"order.shipped"| saga2_s2',
      'saga2_s1 ==>|"starts"| saga1_start',
    ])
  })

  it('says which module has nothing to draw, or cannot be read, and ends with 2', async () => {
    expect(await run(file('flows'), file('sagas/none'))).toMatchObject({
      status: 2,
      out: '',
      err: expect.stringContaining('exports no saga and no flow, but makeSaga; wanted what saga(...).done() or flow(...) gives'),
    })
    expect(await run('no/such/flow.ts')).toMatchObject({ status: 2, err: expect.stringContaining('cannot read "no/such/flow.ts"') })
    expect(await run()).toMatchObject({ status: 2, err: expect.stringContaining("missing required argument 'modules'") })
  })

  it('--help has an example', async () => {
    const { status, out } = await run('--help')
    expect(status).toBe(0)
    expect(out).toContain('$ banyan map orders/explore.ts history/flow.ts')
  })
})
