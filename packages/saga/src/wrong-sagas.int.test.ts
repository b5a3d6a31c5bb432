import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

// What the compiler says of wrong sagas, and how much work long ones are to it.

const here = dirname(fileURLToPath(import.meta.url))
const tsc = join(here, '../../../node_modules/typescript/bin/tsc')
// Beside the sources, so that the compiler finds what they import.
mkdirSync(join(here, '../dist'), { recursive: true })
const folder = mkdtempSync(join(here, '../dist/wrong-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const START = `import { event, type Schema } from '@banyan/core'
import { nothing, saga } from '../../src/index.ts'
const schema: Schema<{ by: string }> = { '~standard': { version: 1, vendor: 'x', validate: () => ({ value: { by: 'x' } }) } }
const approved = event('trip.approved', { schema, key: (d) => d.by })
const child = saga<{ n: number }>('child', { version: 1, key: () => '' }).step('one', { do: () => 1, undo: nothing('x') }).done(() => ({ m: 1 }))
const none = nothing('it only reads')
const trip = () => saga<{ id: string }>('trip', { version: 1, key: (t) => t.id })
`

/** What the compiler says of some programs, all at once. */
async function compile(programs: Readonly<Record<string, string>>, ...flags: string[]): Promise<string> {
  for (const [name, body] of Object.entries(programs)) writeFileSync(join(folder, `${name}.ts`), START + body)
  const config = {
    extends: '../../../../tsconfig.base.json',
    compilerOptions: {
      noEmit: true,
      composite: false,
      isolatedDeclarations: false,
      declaration: false,
      declarationMap: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
    },
    include: Object.keys(programs).map((name) => `${name}.ts`),
  }
  const file = `${Object.keys(programs)[0]}.json`
  writeFileSync(join(folder, file), JSON.stringify(config))
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, '-p', file, '--pretty', 'false', ...flags], { cwd: folder }, (_failed, output) => resolve(output))
  })
}

describe('the error of a wrong saga names the step', () => {
  const wrong: readonly [what: string, says: string, body: string][] = [
    ['no undo', `required in type 'RemoteStep<"hotel"`, `trip().step('hotel', { do: () => 1 })`],
    [
      'undo past the pivot',
      `"step 'send' stands at or past the pivot: it is never undone"`,
      `trip().pivot('pay', { do: () => 1 }).step('send', { do: () => 2, undo: () => {} })`,
    ],
    ['second pivot', `"'ship' cannot be the pivot: 'pay' is"`, `trip().pivot('pay', { do: () => 1 }).pivot('ship', { do: () => 1 })`],
    [
      'name twice',
      `"the saga has a step 'hotel' already"`,
      `trip().step('hotel', { do: () => 1, undo: none }).step('hotel', { do: () => 1, undo: none })`,
    ],
    ['later step', `Property 'flight' does not exist`, `trip().step('hotel', { do: (c) => c.flight, undo: none })`],
    ['no undo in all', `required in type 'RemoteStep<"hotel"`, `trip().all({ car: { do: () => 1, undo: none }, hotel: { do: () => 1 } })`],
    [
      'name twice in all',
      `"the saga has a step 'hotel' already"`,
      `trip().step('hotel', { do: () => 1, undo: none }).all({ hotel: { do: () => 1, undo: none } })`,
    ],
    ['no undo in each', `required in type 'EachStep<"seats"`, `trip().each('seats', () => [1], { do: () => 1 })`],
    [
      'undo past the pivot in all',
      `"step 'send' stands at or past the pivot: it is never undone"`,
      `trip().pivot('pay', { do: () => 1 }).all({ send: { do: () => 2, undo: () => {} } })`,
    ],
    [
      'one of a group reads another',
      `Property 'hotel' does not exist`,
      `trip().together((g) => g.step('hotel', { do: () => 1, undo: none }).step('car', { do: (c) => c.hotel, undo: none }))`,
    ],
    [
      'name twice in a group',
      `"the saga has a step 'hotel' already"`,
      `trip().together((g) => g.step('hotel', { do: () => 1, undo: none }).step('hotel', { do: () => 1, undo: none }))`,
    ],
    [
      'a wait that undoes past the pivot',
      `Type '"undo"' is not assignable to type '"continue"'`,
      `trip().pivot('pay', { do: () => 1 }).wait('word', { for: approved, where: () => '', withinMs: 1, otherwise: 'undo' })`,
    ],
    ['a wait without an end', `withinMs`, `trip().wait('word', { for: approved, where: () => '', otherwise: 'undo' })`],
    [
      'an approval past the pivot',
      `"'boss' stands past the pivot 'pay': nobody can say no there"`,
      `trip().pivot('pay', { do: () => 1 }).approve('boss', { withinMs: 1, otherwise: 'continue' })`,
    ],
    ['a child without undo', `required in type 'ChildOptions<"kid"`, `trip().child('kid', child, { input: () => ({ n: 1 }) })`],
    [
      'a child with another input',
      `Type 'string' is not assignable to type 'number'`,
      `trip().child('kid', child, { input: () => ({ n: '1' }), undo: none })`,
    ],
    [
      "a branch's result as if it was there",
      `'c.room' is possibly 'undefined'`,
      `trip().when('rich', () => true, (b) => b.step('room', { do: () => ({ n: 1 }), undo: none })).done((c) => c.room.n)`,
    ],
    ['a pivot in a branch', `SagaPastPivot<"pay"`, `trip().when('rich', () => true, (b) => b.pivot('pay', { do: () => 1 }))`],
    [
      'an answer that may not come',
      `'c.boss' is possibly 'undefined'`,
      `trip().approve('boss', { withinMs: 1, otherwise: 'continue' }).done((c) => c.boss.by)`,
    ],
    ['own result', `'c.hotel' is possibly 'undefined'`, `trip().step('hotel', { do: () => ({ n: 1 }), undo: (c) => c.hotel.n })`],
  ]
  const nameOf = (what: string) => what.replaceAll(/[ ']/g, '-')
  let output = ''
  beforeAll(async () => {
    output = await compile(Object.fromEntries(wrong.map(([what, , body]) => [nameOf(what), body])))
  }, 120_000)

  it.each(wrong)('%s', (what, says) => {
    // An error begins at the start of a line, what belongs to it is indented.
    const errors = output.split(/\n(?=\S)/).filter((error) => error.startsWith(`${nameOf(what)}.ts(`))
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(says)
  })
})

// The checker's work for one more link must hardly grow with the links before it, whatever they are.
it.each(['step', 'all', 'together', 'wait', 'each', 'when'] as const)(
  'a chain of 30 "%s" is no work to speak of to the compiler',
  { timeout: 120_000 },
  async (kind) => {
    const link = (name: string, read: string) =>
      ({
        step: `.step('${name}', { do: async (c) => ({ n: ${read} }), undo: (c) => c.${name}?.n })`,
        all: `.all({ ${name}: { do: async (c) => ({ n: ${read} }), undo: none }, ${name}x: { do: () => 1, undo: none } })`,
        together: `.together((g) => g.step('${name}', { do: async (c) => ({ n: ${read} }), undo: (c) => c.${name}?.n }).step('${name}x', { do: () => 1, undo: none }))`,
        wait: `.wait('${name}w', { for: approved, where: (c) => String(${read}), withinMs: 1, otherwise: 'undo' }).step('${name}', { do: (c) => ({ n: c.${name}w.by.length }), undo: none })`,
        each: `.each('${name}s', (c) => [${read}], { do: (_c, n) => n, undo: none }).step('${name}', { do: (c) => ({ n: c.${name}s.length }), undo: none })`,
        when: `.when('${name}w', (c) => ${read} > 1, (b) => b.step('${name}b', { do: () => 1, undo: none })).step('${name}', { do: (c) => ({ n: c.${name}b ?? 0 }), undo: none })`,
      })[kind]
    const chain = (links: number) => {
      const names = Array.from({ length: links }, (_, index) => `s${index}`)
      const body = names.map((name, index) => link(name, index === 0 ? '0' : `c.s${index - 1}.n`)).join('')
      return `export const long = trip()${body}.done((c) => c.s${links - 1}.n)\nconst n: number = long.outputOf(undefined as never)\n`
    }
    const work = async (links: number) => {
      const output = await compile({ [`${kind}-${links}`]: chain(links) }, '--extendedDiagnostics')
      expect(output).not.toContain('error TS')
      return Number(/Instantiations:\s+(\d+)/.exec(output)?.[1])
    }
    const [one, fifteen, thirty] = await Promise.all([work(1), work(15), work(30)])
    // These two compare their names with all before them.
    const factor = kind === 'all' || kind === 'when' ? 4 : 3
    expect(thirty - one).toBeLessThan(factor * (fifteen - one))
    expect(thirty).toBeLessThan(150_000)
  },
)
