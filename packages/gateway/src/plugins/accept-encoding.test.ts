import { expect, test } from 'vitest'
import { chooseEncoding } from './accept-encoding.ts'

test.each([
  [undefined, undefined],
  ['', undefined],
  ['gzip', 'gzip'],
  ['gzip, br', 'br'],
  ['br;q=0.5, gzip;q=0.9', 'gzip'],
  ['br;q=0, *', 'gzip'],
  ['*', 'br'],
  ['*;q=0', undefined],
  ['gzip;q=0', undefined],
  ['identity', undefined],
  ['identity;q=1, gzip;q=0.5', undefined],
  ['identity;q=0.5, gzip', 'gzip'],
  ['GZIP ; q=1.000', 'gzip'],
  ['gzip;q=2', undefined],
  ['gzip;q=rubbish, br;q=0.1', 'br'],
  ['gzip;q=0, gzip', undefined],
  [`${'x, '.repeat(8_000)}gzip`, undefined],
  ['deflate, zstd', undefined],
])('of br and gzip, %j gets %j', (accepted, encoding) => {
  expect(chooseEncoding(accepted, ['br', 'gzip'])).toBe(encoding)
})
