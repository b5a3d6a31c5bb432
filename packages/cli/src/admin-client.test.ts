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

describe('the address of an admin port', () => {
  it.each(['127.0.0.1:8081', 'localhost:8081', 'http://eva:s3cret@127.0.0.1:8081', 'redis://:s3cret@host'])(
    'is wanted as a URL of HTTP, without a password (%#)',
    async (admin) => {
      const tokenFile = join(folder, 'token')
      writeFileSync(tokenFile, 'a-token-of-sixteen')
      const error = await askAdmin({ admin, tokenFile }, 'GET', '/routes').catch((cause) => cause)
      expect(error).toMatchObject({ code: 'ERR_USAGE', message: expect.stringContaining('wanted http://127.0.0.1:8081') })
      expect(error.message).not.toContain('s3cret')
    },
  )
})
