import { normalisePath, readTarget, segmentsOf } from '../src/path.ts'
import { below, damaged, oneOf, type Random, rawBytes } from './bytes.ts'

const SEGMENTS = [
  'a',
  'admin',
  '..',
  '.',
  '',
  '%2e%2e',
  '%2E',
  '..;',
  '%2f',
  '%5c',
  '\\',
  '%00',
  '%',
  '%zz',
  '%61dmin',
  '\xe9',
  'a;b',
  '..%2f',
  '*',
]

function target(random: Random): string {
  const path = Array.from({ length: 1 + below(random, 6) }, () => `/${oneOf(random, SEGMENTS)}`).join('')
  const front = random() < 0.1 ? 'http://host:80' : ''
  return `${front}${path}${random() < 0.3 ? `?${rawBytes(random, 10)}` : ''}`
}

/** The one spelling of a path: no dot segment and no escape hides from a route, and twice is as once. @throws what it found */
export function fuzzTarget(random: Random): string {
  const text = random() < 0.2 ? rawBytes(random, 60) : damaged(random, target(random))
  const read = readTarget(text)
  if ('rejected' in read) return 'rejected'
  const { path } = read
  const segments = segmentsOf(path)
  if (normalisePath(path) !== path) throw new Error(`not normal after all: ${JSON.stringify({ text, path, again: normalisePath(path) })}`)
  if (!/^\/[\x21-\x7e]*$|^\/$/.test(path) || /[\\?#]/.test(path))
    throw new Error(`a character that may not stand there: ${JSON.stringify({ text, path })}`)
  if (segments.some((one) => one === '.' || one === '..' || /^%2e/i.test(one)))
    throw new Error(`a dot segment is left: ${JSON.stringify({ text, path })}`)
  if (/%00|%5c/i.test(path)) throw new Error(`a NUL or a backslash is left: ${JSON.stringify({ text, path })}`)
  return 'read'
}
