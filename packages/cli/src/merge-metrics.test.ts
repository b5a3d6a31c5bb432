import { expect, test } from 'vitest'
import { mergeMetrics } from './merge-metrics.ts'

test('metrics of several processes become one text, each sample with its process', () => {
  const text = (n: number) =>
    `# HELP requests how many\n# TYPE requests counter\nrequests{route="/a b}",x="1"} ${n}\n# TYPE up gauge\nup 1 1700000000000\n`
  expect(
    mergeMetrics(
      new Map([
        ['0', text(3)],
        ['1', text(5)],
      ]),
    ),
  ).toBe(
    [
      '# HELP requests how many',
      '# TYPE requests counter',
      'requests{process="0",route="/a b}",x="1"} 3',
      'requests{process="1",route="/a b}",x="1"} 5',
      '# TYPE up gauge',
      'up{process="0"} 1 1700000000000',
      'up{process="1"} 1 1700000000000',
      '',
    ].join('\n'),
  )
  expect(mergeMetrics(new Map([['0', '']]))).toBe('')
})
