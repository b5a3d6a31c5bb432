import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { linksOf } from './early-hints.ts'

describe('the links of early hints', () => {
  it.each([
    [['link', '</a.css>; rel=preload; as=style'], ['</a.css>; rel=preload; as=style']],
    [
      ['Link', '</a>;rel="preload" ; crossorigin, </b>', 'x-a', '1', 'link', '<c>'],
      ['</a>;rel="preload" ; crossorigin', '</b>', '<c>'],
    ],
    [['link', '</a,b>; x=1==; y=""; z='], ['</a,b>; x=1==; y=""; z=']],
    [['x-a', '1'], []],
  ])('of %j are %j', (hints, links) => {
    expect(linksOf(hints)).toEqual(links)
  })

  it.each(['a', '<a', '<a>; b="c', '<a>; b=c"', '<a>; title="two words"', '<a>;', '<a>; =b', '<a\r\nx: y>', '<\u0100>'])(
    'that go no further take the others with them: %j',
    (link) => expect(linksOf(['link', '</good>', 'link', link])).toEqual([]),
  )

  // Each parameter could be read in several ways: together that would be 3 ** 10,000.
  it.each(['"x', ' x', ';', '', '="x"'])('are told in linear time: thousands of parameters, then %j', (end) => {
    const [link] = linksOf(['link', `<a>${';a=b=c'.repeat(10_000)}${end}`])
    // What Node throws for it would end the process, and so would the time that it takes to say so.
    const response = new ServerResponse(new IncomingMessage(new Socket()))
    if (link) response.writeEarlyHints({ link })
    expect(link).toBe(end === '' ? `<a>${';a=b=c'.repeat(10_000)}` : undefined)
  })

  it('that go on are links to Node too', () => {
    const parts = ['a', '=', '"', ';', ' ', 'b=c', '="d"', '=="e"']
    const response = new ServerResponse(new IncomingMessage(new Socket()))
    for (let n = 0; n < parts.length ** 5; n += 1) {
      const digits = n.toString(parts.length).padStart(5, '0')
      for (const link of linksOf(['link', `<a>;${[...digits].map((digit) => parts[Number(digit)]).join('')}`]))
        response.writeEarlyHints({ link })
    }
  })
})
