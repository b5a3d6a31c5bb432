import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runProgram } from './program.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-cli-examples-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(args: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  const said = { out: '', err: '' }
  const status = await runProgram(args, {
    write: (text) => {
      said.out += text
    },
    writeError: (text) => {
      said.err += text
    },
  })
  return { status, ...said }
}

/** The words of a line, as a shell takes them. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare ?? '')
}

describe('the examples of --help', () => {
  it.each([
    ['the program', [], 3],
    ['saga', ['saga'], 9],
    ['flow', ['flow'], 5],
    ['dead-letters', ['dead-letters'], 6],
  ])('of %s that look into a database lack no word and have none too many', async (_, command, least) => {
    const { out } = await run([...command, '--help'])
    const lines = out.split('\n').flatMap((line) => /^ {2}\$ banyan (.* --db .*)$/.exec(line)?.[1] ?? [])
    expect(lines.length).toBeGreaterThanOrEqual(least)
    for (const line of lines) {
      const words = wordsOf(line)
      // All words are good when the one thing that is wrong is that this database is not there.
      words[words.indexOf('--db') + 1] = join(folder, 'none.db')
      expect({ line, ...(await run(words)) }).toMatchObject({ line, status: 1, err: expect.stringMatching(/^there is no database/) })
    }
  })
})
