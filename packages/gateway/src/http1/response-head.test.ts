import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseFields, UncleanError } from './response-head.ts'

/** The grammar of a field line, as RFC 9112 has it; the parser reads by steps, as that is faster. */
const FIELD_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/

function byGrammar(text: string): string[] | 'unclean' {
  const lines = text.split('\r\n')
  if (lines.at(-1) === '') lines.pop()
  const fields = lines.map((line) => FIELD_LINE.exec(line))
  return fields.some((field) => field === null) ? 'unclean' : fields.flatMap((field) => [field?.[1] ?? '', field?.[2] ?? ''])
}

function parsed(text: string, start?: number, end?: number): string[] | 'unclean' {
  try {
    return parseFields(text, start ?? 0, end)
  } catch (error) {
    if (error instanceof UncleanError) return 'unclean'
    throw error
  }
}

const piece = fc.constantFrom(
  'a',
  'Z',
  '9',
  '-',
  ':',
  ':',
  ' ',
  '\t',
  '\r\n',
  '\r\n',
  '\r',
  '\n',
  '"',
  '(',
  '\0',
  '\x7f',
  '\x80',
  '\xff',
  'č',
)
const name = fc.constantFrom('Date', 'x', 'Content-Type', 'sm!le', '')
const line = fc.tuple(name, fc.array(piece, { maxLength: 5 })).map(([before, rest]) => `${before}${rest.join('')}`)
const text = fc.array(line, { maxLength: 5 }).map((lines) => lines.join('\r\n'))

it('reads field lines as their grammar says, and nothing else', () => {
  let clean = 0
  fc.assert(
    fc.property(text, (lines) => {
      const wanted = byGrammar(lines)
      if (wanted !== 'unclean') clean += 1
      expect(parsed(lines)).toEqual(wanted)
    }),
    { numRuns: 20_000 },
  )
  expect(clean).toBeGreaterThan(500)
})

it('reads nothing outside of what it is given', () => {
  fc.assert(
    fc.property(text, fc.constantFrom('\r\n\r\nsmuggled: yes\r\n', ': yes\r\n', 'x: yes\r\n'), (lines, behind) => {
      expect(parsed(`HTTP/1.1 200 OK\r\n${lines}${behind}`, 17, 17 + lines.length)).toEqual(parsed(lines))
    }),
    { numRuns: 5_000 },
  )
})
