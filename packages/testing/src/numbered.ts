import type { Envelope } from '@banyan/core'

/** An event whose data is its number within its key. */
export function numbered(subject: string, n: number, type = 'suite.tick'): Envelope<number> {
  return {
    specversion: '1.0',
    id: `${type}/${subject}/${n}`,
    source: 'suite',
    type,
    subject,
    time: '2026-01-01T00:00:00Z',
    datacontenttype: 'application/json',
    dataschema: `${type}/1`,
    data: n,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  }
}
