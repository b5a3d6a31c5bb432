import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const path = (file: string) => new URL(file, import.meta.url).pathname

it('ends when it is done, also where a module that it has read keeps something open', async () => {
  const args = ['--conditions=@banyan/source', path('main.ts'), 'saga', 'verify', path('test/sagas/busy.ts')]
  const { stdout } = await run(process.execPath, args, { timeout: 20_000 })
  expect(stdout).toBe('saga busy, version 1: nothing found\n')
})

it('says in which file and line a module that cannot be read is wrong', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-cli-main-'))
  try {
    const [file, wrong] = [join(folder, 'explore.ts'), join(folder, 'place-order.ts')]
    writeFileSync(file, `import './place-order.ts'\n`)
    writeFileSync(wrong, `export const kind = 1\nenum Color { Red }\n`)
    const reading = run(process.execPath, ['--conditions=@banyan/source', path('main.ts'), 'saga', 'verify', file])
    await expect(reading).rejects.toMatchObject({
      code: 2,
      stderr: `cannot read "${file}": TypeScript enum is not supported in strip-only mode, at ${wrong}:2\n`,
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
