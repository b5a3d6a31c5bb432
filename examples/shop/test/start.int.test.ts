import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const script = (path: string) => new URL(`../../../${path}`, import.meta.url).pathname

it('npm start shows the way of three orders, and ends without a complaint when Ctrl-C reaches all of its processes', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'banyan-start-'))
  const words = [script('scripts/banyan.mjs'), script('examples/shop/start.ts'), '--data-dir', dataDir, '--port', '0']
  // A group of its own, as a terminal gives one to what it starts.
  const child = spawn(process.execPath, words, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', () => said.includes('Ctrl-C stops every process') && resolve())
    child.once('exit', () => reject(new Error(`it ended by itself: ${said}`)))
  })
  expect(said).toMatch(/an order that succeeds: confirmed/)
  expect(said).toMatch(/an order whose payment is declined: rejected, declined/)
  expect(said).toMatch(/an order that is out of stock: rejected, out-of-stock/)
  expect(said).toMatch(/shipping\s+consume order\.confirmed/)

  const before = said.length
  process.kill(-(child.pid ?? 0), 'SIGINT')
  const [code] = await once(child, 'exit')
  expect(said.slice(before)).not.toMatch(/error|warn|killed/i)
  expect(code).toBe(0)
  rmSync(dataDir, { recursive: true, force: true })
})
