import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { type LogStyle, logLines } from './log-lines.ts'

function lines(style: LogStyle, name: string, line: string): string[] {
  const written: string[] = []
  logLines(style, (text) => written.push(stripVTControlCharacters(text)), 8)(name, line)
  return written
}

const json = '{"level":"warn","time":1,"service":"orders","error":{"message":"gone","stack":"..."},"message":"cannot pay"}'

describe('log lines', () => {
  it('read like a sentence, with the service before and the details behind', () => {
    expect(lines('pretty', 'core', json)).toEqual(['orders   warn cannot pay error="gone"'])
  })

  it('show the control signs of a text, and the lines of a message each under the name of its service', () => {
    const texts = { message: 'of \u001b[2Jeva\u0007\nnext', path: '/\u001b]0;x' }
    const written: string[] = []
    logLines('pretty', (text) => written.push(text), 8)('core', JSON.stringify({ service: 'orders', ...texts }))
    expect(written.map(stripVTControlCharacters)).toEqual(['orders   of \\u001b[2Jeva\\u0007', 'orders   next path=/\\u001b]0;x'])
  })

  it('keep what is not JSON as it is', () => {
    expect(lines('pretty', 'psp', '{ not json')).toEqual(['psp      { not json'])
  })

  it('stay JSON for machines, and become JSON where they were not', () => {
    expect(lines('json', 'core', json)).toEqual([json])
    expect(lines('json', 'psp', 'hello')).toEqual(['{"service":"psp","message":"hello"}'])
  })

  it('are JSON for machines also where a program prints what only begins like it', () => {
    for (const line of ['{ not json', "{ id: 'a' }", '{"cut": "of'])
      expect(lines('json', 'psp', line).map((text) => JSON.parse(text))).toEqual([{ service: 'psp', message: line }])
    expect(lines('json', 'psp', '{"of":"its own"}')).toEqual(['{"of":"its own"}'])
  })

  it('can be kept quiet', () => {
    expect(lines('silent', 'core', json)).toEqual([])
  })
})
