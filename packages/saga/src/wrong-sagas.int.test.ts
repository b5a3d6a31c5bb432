import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

// What the compiler says of wrong sagas, and how much work long ones are to it.

const here = dirname(fileURLToPath(import.meta.url))
const tsc = join(here, '../../../node_modules/typescript/bin/tsc')
// Beside the sources, so that the compiler finds what they import.
mkdirSync(join(here, '../dist'), { recursive: true })
const folder = mkdtempSync(join(here, '../dist/wrong-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const START = `import { nothing, saga } from '../../src/index.ts'
const none = nothing('it only reads')
const trip = () => saga<{ id: string }>('trip', { version: 1, key: (t) => t.id })
`

async function compile(name: string, body: string, ...flags: string[]): Promise<string> {
  writeFileSync(join(folder, `${name}.ts`), START + body)
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
    include: [`${name}.ts`],
  }
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(config))
  return new Promise((resolve) => {
    execFile(process.execPath, [tsc, '-p', `${name}.json`, '--pretty', 'false', ...flags], { cwd: folder }, (_failed, output) =>
      resolve(output),
    )
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
    ['own result', `'c.hotel' is possibly 'undefined'`, `trip().step('hotel', { do: () => ({ n: 1 }), undo: (c) => c.hotel.n })`],
  ]
  it.each(wrong)('%s', async (what, says, body) => {
    const output = await compile(what.replaceAll(' ', '-'), body)
    expect(output).toContain(says)
    expect(
      output
        .trim()
        .split('\n')
        .filter((line) => line.includes('error TS')),
    ).toHaveLength(1)
  })
})

it('a chain of 30 steps is no more than three times the work of one of 15 to the compiler', async () => {
  const chain = (steps: number) => {
    const names = Array.from({ length: steps }, (_, index) => `s${index}`)
    const links = names.map((name, index) => {
      const read = index === 0 ? '0' : `c.s${index - 1}.n`
      return `.step('${name}', { do: async (c) => ({ n: ${read} }), undo: (c) => c.${name}?.n })`
    })
    return `export const long = trip()${links.join('')}.done((c) => c.s${steps - 1}.n)\nconst n: number = long.outputOf(undefined as never)\n`
  }
  const work = async (steps: number) => {
    const output = await compile(`chain-${steps}`, chain(steps), '--extendedDiagnostics')
    expect(output).not.toContain('error TS')
    return Number(/Instantiations:\s+(\d+)/.exec(output)?.[1])
  }
  const [none, fifteen, thirty] = [await work(1), await work(15), await work(30)]
  expect(thirty - none).toBeLessThan(3 * (fifteen - none))
})
