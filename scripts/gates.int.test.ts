import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
let house: string

// A house of one good room under the rules of this one.
beforeEach(() => {
  house = mkdtempSync(join(tmpdir(), 'banyan-gates-'))
  cpSync(join(root, 'biome.json'), join(house, 'biome.json'))
  cpSync(join(root, 'scripts/lint'), join(house, 'scripts/lint'), { recursive: true })
  write('packages/resilience/src/good.ts', "import { sleep } from '@banyan/core'\n\nexport const rest: typeof sleep = sleep\n")
})
afterEach(() => rmSync(house, { recursive: true, force: true }))

function write(path: string, text: string): void {
  mkdirSync(dirname(join(house, path)), { recursive: true })
  writeFileSync(join(house, path), text)
}

function gate(): { status: number | null; says: string } {
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')
  const { status, stdout, stderr } = spawnSync(process.execPath, [biome, 'ci', '--vcs-enabled=false', '--colors=off', '.'], {
    cwd: house,
    encoding: 'utf8',
  })
  return { status, says: stdout + stderr }
}

const lines = (count: number) => Array.from({ length: count }, (_, i) => `  total += ${i}\n`).join('')

describe('the linter', () => {
  it('lets a good room pass', () => {
    expect(gate()).toMatchObject({ status: 0 })
  })

  it.each([
    [
      'an import against the arrows',
      "import { upstream } from '@banyan/discovery'\n\nexport const pick: unknown = upstream\n",
      /The arrows/,
    ],
    [
      'a type imported against the arrows',
      "import type { Upstream } from '@banyan/discovery'\n\nexport type Pick = Upstream\n",
      /The arrows/,
    ],
    ['a way around the doors', "import { world } from '../../core/src/world.ts'\n\nexport const time: unknown = world\n", /The arrows/],
    ['Date.now()', 'export const now = (): number => Date.now()\n', /come from World/],
    ['Math.random()', 'export const dice = (): number => Math.random()\n', /come from World/],
    ['a timer of its own', 'export const later = (call: () => void): unknown => setTimeout(call, 1)\n', /Time comes from World/],
    ['a function of 70 lines', `export function long(): number {\n  let total = 0\n${lines(67)}  return total\n}\n`, /too many lines/],
  ])('refuses %s', (_, text, says) => {
    write('packages/resilience/src/bad.ts', text)
    const { status, says: said } = gate()
    expect(status).toBe(1)
    expect(said).toMatch(says)
  })

  it('refuses a cycle', () => {
    write('packages/resilience/src/one.ts', "import { two } from './two.ts'\n\nexport const one = (): unknown => two\n")
    write('packages/resilience/src/two.ts', "import { one } from './one.ts'\n\nexport const two = (): unknown => one\n")
    const { status, says } = gate()
    expect(status).toBe(1)
    expect(says).toMatch(/cycle/)
  })

  it('refuses a service of the shop that reads more of another than its contract', () => {
    write('examples/shop/orders/main.ts', "import { findStock } from '../inventory/domain.ts'\n\nexport const stock: unknown = findStock\n")
    expect(gate().says).toMatch(/nothing of another but its contract/)
  })
})
