import { fileURLToPath } from 'node:url'
import { saga } from '@banyan/saga'
import { describe, expect, it } from 'vitest'
import { runProgram } from '../program.ts'
import { findingsOf } from '../saga-checks.ts'

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const status = await runProgram(['saga', ...args], {
    write: (text) => {
      out += text
    },
    writeError: (text) => {
      err += text
    },
  })
  return { status, out, err }
}

const file = (name: string) => fileURLToPath(new URL(`../test/sagas/${name}.ts`, import.meta.url))

describe('banyan saga verify', () => {
  it('finds nothing in a saga that is fine', async () => {
    expect(await run('verify', file('fine'))).toEqual({ status: 0, out: 'saga fine, version 1: nothing found\n', err: '' })
  })

  it('takes a saga for one, however many exports have it', async () => {
    expect(await run('verify', file('both-ways'))).toMatchObject({ out: 'saga both-ways, version 1: nothing found\n', status: 0 })
    expect((await run('diagram', file('both-ways'))).out.match(/saga both-ways/g)).toHaveLength(1)
  })

  it('says what may be wrong, a line each, and ends with 1', async () => {
    const { status, out, err } = await run('verify', file('doubtful'))
    expect(status).toBe(1)
    expect(out).toContain('saga doubtful, version 1: step "stock" has nothing to undo and does not say why\n')
    expect(out).toContain('saga doubtful, version 1: it has no pivot')
    expect(out).toContain('saga doubtful, version 2: it has no step "money" any more, and no "migrate": version 1 cannot go on in it\n')
    expect(err).toMatch(/^\d findings in .*doubtful\.ts\n$/)
  })

  it('says what reading has found, also where a saga cannot be run', async () => {
    const { status, out, err } = await run('verify', file('unsimulated'))
    expect(status).toBe(1)
    expect(out).toMatch(/^saga note, version 1: step "note" touches "note" without isolation.*\n$/)
    expect(err).toBe('a simulated database has no SQL; give explore() a "database"\n')
  })

  it('finds a step that nothing comes to', async () => {
    const { status, out } = await run('verify', file('dead-end'))
    expect(status).toBe(1)
    expect(out).toContain('no schedule comes to step "check"\n')
  })

  it('finds a time limit that no step can meet', () => {
    const hurried = saga<{ id: string }>('hurried', { version: 1, key: ({ id }) => id, deadlineMs: 1_000 })
      .step('slow', { do: () => undefined, undo: () => undefined, withinMs: 5_000 })
      .sleep('pause', 2_000)
      .step('late', { do: () => undefined, undo: () => undefined, withinMs: 500 })
      .pivot('confirm', { local: () => undefined })
      .done()
    expect(findingsOf([hurried])).toEqual(
      expect.arrayContaining(['saga hurried, version 1: step "slow" may take 5000 ms, longer than the 1000 ms that the whole saga has']),
    )
  })

  it('finds a definition that is there twice, and steps that are another kind in a later version', () => {
    const define = (version: number, step: 'local' | 'step') =>
      saga<{ id: string }>('moved', { version, key: ({ id }) => id })
        [step]('one', { do: () => undefined, undo: () => undefined })
        .done()
    const found = findingsOf([define(1, 'local'), define(2, 'step'), define(2, 'step')])
    expect(found).toContain('saga moved, version 2: step "one" is remote, in version 1 it was local; give it another name')
    expect(found).toContain('saga moved, version 2 is defined twice')
  })
})

describe('banyan saga explore', () => {
  it('prints the shortest schedule that breaks a rule, and ends with 1', async () => {
    const { status, out, err } = await run('explore', file('explorable'), '--faults', '1')
    expect(status).toBe(1)
    expect(out).toContain('every schedule with up to 1 fault: BROKEN')
    expect(out).toContain('THE CALL')
    expect(err).toContain('1 of 1 sagas')
    const schedule = /replay: (.*)/.exec(out)?.[1] ?? ''
    const again = await run('explore', file('explorable'), '--replay', schedule)
    expect(again.status).toBe(1)
    expect(again.out).toContain(`one schedule, 1 fault: BROKEN`)
  })

  it('replays a schedule of one of several sagas', async () => {
    const { out } = await run('explore', file('two-explorables'), '--faults', '1')
    const schedule = /replay: (.*)/.exec(out)?.[1] ?? ''
    const again = await run('explore', file('two-explorables'), '--replay', schedule)
    expect(again).toMatchObject({ status: 1, out: expect.stringMatching(/^saga bonus, version 1, one schedule, 1 fault: BROKEN/) })
    expect(again.err).toContain('1 of 1 sagas')
    const none = await run('explore', file('two-explorables'), '--replay', '1:rubbish')
    expect(none).toMatchObject({ status: 1, out: '', err: expect.stringContaining('move 1 cannot be "rubbish"') })
    // What the first of them could do instead: that of "another".
    expect(none.err).toContain('earn.')
  })

  it('prints a schedule that breaks nothing, too', async () => {
    const { status, out } = await run('explore', file('explorable'), '--replay', '')
    expect(status).toBe(0)
    expect(out).toContain('1. worker 1 does "spend": calls points.spend(')
  })

  it('ends with 1 when it has not looked at all of it, and says what to do', async () => {
    const { status, out, err } = await run('explore', file('guarded'), '--max-moments', '3')
    expect(out).toContain('nothing broken was found, but NOT ALL was looked at')
    expect(status).toBe(1)
    expect(err).toMatch(/^1 of 1 sagas in .* was not looked at in full: raise --max-moments, or lower --faults\n$/)
    expect(await run('explore', file('guarded'))).toMatchObject({ status: 0, err: '' })
  })

  it('ends with 1 for a saga that it cannot run', async () => {
    const { status, err } = await run('explore', file('unsimulated'))
    expect(status).toBe(1)
    expect(err).toBe('a simulated database has no SQL; give explore() a "database"\n')
  })

  it('says what is wrong with a schedule', async () => {
    const { status, err } = await run('explore', file('explorable'), '--replay', '1:spend.lots')
    expect(status).toBe(1)
    expect(err).toContain('move 1 cannot be "spend.lots"; did you mean "spend.lost"?')
    expect((await run('explore', file('explorable'), '--replay', '1:rubbish')).err).toContain('move 1 cannot be "rubbish". It can be ')
  })

  it('says what a module without participants lacks', async () => {
    const { status, err } = await run('explore', file('fine'))
    expect(status).toBe(2)
    expect(err).toContain('exports saga fine, version 1, but nobody who takes part in it: wanted explorable(')
  })
})

describe('banyan saga diagram', () => {
  it('draws a saga as a table', async () => {
    const { status, out } = await run('diagram', file('fine'))
    expect(status).toBe(0)
    expect(out).toContain('==  confirm  local   none: the point of no return\n')
  })

  it('draws a saga for Mermaid, with the way back', async () => {
    const { out } = await run('diagram', file('fine'), '--format', 'mermaid')
    expect(out).toContain('flowchart TD\n  start(["fine, version 1"])\n')
    expect(out).toContain('  s2{{"confirm<br/>local"}}\n')
    expect(out).toContain('  s1 -. undo .-> s0\n  s0 -. undo .-> compensated\n')
  })
})

describe('banyan saga diagram of every construct', () => {
  it('draws what runs side by side, a branch and the way past it, and items', async () => {
    const { out } = await run('diagram', file('constructs'), '--format', 'mermaid')
    const edges = out.split('\n').filter((line) => line.includes('-->'))
    expect(edges.map((line) => line.trim())).toEqual([
      'start --> s0',
      'start --> s1',
      's0 --> s2',
      's1 --> s2',
      's2 -->|yes| s3',
      's3 --> s4',
      's2 -->|no| s4',
      's4 --> s5',
      's5 --> s6',
      's6 --> done',
    ])
    expect(out).toContain('  s2{"big<br/>when"}\n')
    expect(out).toContain('  s4["seats<br/>remote, for each"]\n')
    const { out: text } = await run('diagram', file('constructs'))
    expect(text).toMatch(/^\|\| +hotel/m)
    expect(text).toMatch(/^\| +check/m)
  })
})

describe('a module that is none of a saga', () => {
  it.each([
    ['none', '"makeSaga" is a function; if it makes a saga of clients, give it to explorable()'],
    ['nowhere', 'cannot read'],
    ['pipeline', 'it exports pipeline; wanted what saga(...).done() gives'],
  ])('%s: says what is wanted, and ends with 2', async (name, message) => {
    for (const command of ['verify', 'explore', 'diagram']) {
      const { status, err } = await run(command, file(name))
      expect(status).toBe(2)
      expect(err).toContain(message)
    }
  })

  it.each(['verify', 'explore', 'diagram'])('%s --help has an example', async (command) => {
    const { status, out } = await run(command, '--help')
    expect(status).toBe(0)
    expect(out).toContain(`$ banyan saga ${command} orders/`)
    expect(out.match(/Examples:/g)).toHaveLength(1)
  })
})
