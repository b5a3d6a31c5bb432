import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const path = (file: string) => new URL(file, import.meta.url).pathname

it('ends when it is done, also where a module that it has read keeps something open', async () => {
  const args = ['--conditions=@banyan/source', path('main.ts'), 'saga', 'verify', path('test/sagas/busy.ts')]
  const { stdout } = await run(process.execPath, args, { timeout: 20_000 })
  expect(stdout).toBe('saga busy, version 1: nothing found\n')
})
