import { spawnSync } from 'node:child_process'
import { describe, expect, it, vi } from 'vitest'
import { run as kill } from './kill.ts'
import { run as limit } from './limit.ts'
import { run as outage } from './outage.ts'
import { run as reloads } from './reloads.ts'

/** A trial, with what it printed. */
async function trial(
  run: (args: readonly string[]) => Promise<boolean>,
  ...args: readonly string[]
): Promise<{ holds: boolean; said: string }> {
  const lines: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line))
  try {
    return { holds: await run(args), said: lines.join('\n') }
  } finally {
    log.mockRestore()
  }
}

const small = { timeout: 180_000 }

describe('the gateway keeps its promises', () => {
  it('over reloads and a rolling restart', small, async () => {
    const { holds, said } = await trial(reloads, '--requests', '3000', '--reloads', '10', '--connections', '10')
    expect(said).toMatch(/3,000 requests over 10 reloads and 1 rolling restart of 2 processes\nGET 200: .*\n0 failed$/)
    expect(holds).toBe(true)
  })

  it('when a service is killed', small, async () => {
    const { holds, said } = await trial(kill, '--seconds', '3', '--connections', '10', '--per-second', '300')
    expect(said).toMatch(/ 0 done twice, 0 answered and not done\n0 GETs failed/)
    expect(holds).toBe(true)
  })

  it('when a service fails', small, async () => {
    const { holds, said } = await trial(outage, '--seconds', '2', '--connections', '10', '--per-second', '200')
    expect(said).toMatch(/GET 503: /)
    expect(holds).toBe(true)
  })

  if (spawnSync('redis-server', ['--version']).error) it.skip('left out: there is no Redis here; "apt-get install redis-server" brings it')
  else
    it('where gateways count together', small, async () => {
      const { holds, said } = await trial(limit, '--requests', '1000', '--limit', '50', '--connections', '10')
      expect(said).toMatch(/2 gateways, a limit of 50 a day: 50 passed, 950 refused, 0 failed/)
      expect(holds).toBe(true)
    })
})
