import { afterEach, expect, it, vi } from 'vitest'
import { loadOptions } from '../options.ts'

afterEach(() => vi.restoreAllMocks())

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
