import { afterEach, expect, it, vi } from 'vitest'
import { loadOptions, startOptions } from '../options.ts'

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

it('kills as often as its help says: from once on, and 24 times when nothing is said', () => {
  let help = ''
  vi.spyOn(console, 'log').mockImplementation((text) => {
    help += text
  })
  vi.spyOn(process, 'exit').mockImplementation(() => {
    throw new Error('the program ends')
  })
  expect(() => loadOptions(['--help'])).toThrow('the program ends')
  expect(help).toContain('more of them, or fewer: from 1, default 24')
  expect(loadOptions(['--chaos', '--kills', '1'])).toMatchObject({ chaos: true, kills: 1 })
  expect(loadOptions(['--chaos'])).toMatchObject({ kills: 24 })
  expect(() => loadOptions(['--chaos', '--kills', '0'])).toThrow('--kills is "0", wanted a whole number from 1 to 10000')
})

it('does not take a number of kills that it would not make', () => {
  expect(() => loadOptions(['--kills', '3'])).toThrow('--kills is how often --chaos kills')
  expect(loadOptions([])).toMatchObject({ chaos: false, kills: 0 })
})

const HOME = new URL('file:///home/shop%20keeper/data')

it('keeps its data beside itself, also in a folder with a space in its name', () => {
  expect(startOptions([], HOME).dataDir).toBe('/home/shop keeper/data')
  expect(startOptions(['--data-dir', '/tmp/a%20b'], HOME).dataDir).toBe('/tmp/a%20b')
})

it('takes nothing for no number, and not for 0', () => {
  vi.stubEnv('GATEWAY_PORT', '')
  expect(startOptions([], HOME).port).toBe(8080)
  vi.stubEnv('GATEWAY_PORT', '9000')
  expect(startOptions([], HOME).port).toBe(9000)
  expect(startOptions(['--port', '0'], HOME).port).toBe(0)
  expect(() => startOptions(['--port', ''], HOME)).toThrow('--port is "", wanted a whole number from 0 to 65535')
  expect(() => loadOptions(['--seed', ' '])).toThrow('--seed is " ", wanted a whole number')
})
