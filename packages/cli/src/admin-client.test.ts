import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { askAdmin } from './admin-client.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banyan-admin-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** What is said of a token file with this text. */
async function saidOf(text: string): Promise<{ code: string; message: string }> {
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, text)
  return askAdmin({ admin: 'http://127.0.0.1:1', tokenFile }, 'GET', '/routes').then(
    () => expect.unreachable(),
    (error) => error,
  )
}

describe('the token for an admin port', () => {
  it('is not printed when it cannot be sent, and its file is named', async () => {
    for (const text of ['a-secret-token\nof two lines\n', 'a-secret-tokén-\u{1f511}\n']) {
      const { code, message } = await saidOf(text)
      expect(message).not.toContain('secret')
      expect(message).toContain(`the token file "${join(folder, 'token')}"`)
      expect(code).toBe('ERR_USAGE')
    }
  })

  it('is wanted in the file that is named for it', async () => {
    expect(await saidOf(' \n')).toMatchObject({ code: 'ERR_USAGE', message: expect.stringMatching(/^the token file ".*" is empty/) })
  })
})
