import { expect, test } from 'vitest'
import { withoutPassword } from './without-password.ts'

test.each([
  ['redis://host:1', 'redis://host:1'],
  ['redis://:secret@host:1/0', 'redis://***@host:1/0'],
  ['redis://shop:se/cr@et@host', 'redis://***@host'],
  ['http://shop:secret@:x', 'http://***@:x'],
  ['"//a\nb@c"', '"//***@c"'],
  ['redis:/:secret@host:1', '***@host:1'],
  ['redis:shop:se@cret@host', '***@host'],
  ['"shop:secret@host:6379"', '"***@host:6379"'],
  [':secret@host', '***@host'],
  ['someone@example.org', 'someone@example.org'],
  ['"someone@example.org: 7"', '"someone@example.org: 7"'],
  ['shop:se//cret@host', '***@host'],
  ['at redis://shop:secret@host', 'at redis://***@host'],
  ['host:6379', 'host:6379'],
])('%s is shown as %s', (text, shown) => {
  expect(withoutPassword(text)).toBe(shown)
})

test.each([
  ['without an @', 'a:'.repeat(100_000)],
  ['with an e-mail address at its start', `someone@example.org ${'a:'.repeat(100_000)}`],
  ['of one word', `${'a'.repeat(100_000)}@`],
])('a long text %s is read as fast as it is long', (_, text) => {
  expect(withoutPassword(text)).toBe(text)
})
