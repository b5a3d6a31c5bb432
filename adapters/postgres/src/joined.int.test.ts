import { testPostgres } from '@banyan/testing'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { joinedJson, joinNumbers, joinTexts, numbersOf, splitJson, textsOf } from './joined.ts'

let client: pg.Client
let drop: () => Promise<void>
beforeAll(async () => {
  const place = await testPostgres()
  client = new pg.Client({ connectionString: place.url })
  await client.connect()
  drop = async () => {
    await client.end()
    await place.drop()
  }
})
afterAll(() => drop())

interface Joined {
  readonly texts: string | null
  readonly numbers: string | null
}

async function throughServer(texts: readonly string[]): Promise<{ texts: string[]; numbers: number[] }> {
  const { rows } = await client.query<Joined>(
    `select ${joinTexts('text')} as texts, ${joinNumbers('n')} as numbers
     from (select * from unnest($1::text[]) with ordinality as t (text, n) order by n) as sorted`,
    [texts],
  )
  return { texts: textsOf(rows[0]?.texts ?? null), numbers: numbersOf(rows[0]?.numbers ?? null) }
}

async function intoServer(texts: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ text: string }>(`select text from ${splitJson('$1')} with ordinality as t (text, n) order by n`, [
    joinedJson(texts),
  ])
  return rows.map(({ text }) => text)
}

// All that the server can store: no NUL, and no half of a pair.
const PIECE = fc.constantFrom('\x1e', '0', '1', '\x1e0', '\x1e1', '', ',', '"', '\\', 'é', '😀')
const TEXT = fc
  .oneof(
    fc.array(PIECE, { maxLength: 6 }).map((pieces) => pieces.join('')),
    fc.string(),
  )
  .filter((one) => !one.includes('\0') && one.isWellFormed())

it('brings texts from the server as they were, also those that look like what stands between them', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(TEXT, { maxLength: 5 }), async (texts) => {
      expect(await throughServer(texts)).toEqual({ texts, numbers: texts.map((_, index) => index + 1) })
    }),
    { numRuns: 300 },
  )
})

it('brings JSON to the server as it was, also of texts that look like what stands between two', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(TEXT, { minLength: 1, maxLength: 5 }), async (texts) => {
      const written = texts.map((text) => JSON.stringify({ [text]: text }))
      expect(await intoServer(written)).toEqual(written)
    }),
    { numRuns: 300 },
  )
})

it('tells no text from one that is empty', async () => {
  expect((await throughServer([])).texts).toEqual([])
  expect((await throughServer([''])).texts).toEqual([''])
})

it('gives numbers back that a number of JavaScript holds', async () => {
  const { rows } = await client.query<{ numbers: string }>(
    `select ${joinNumbers('n')} as numbers from (values (-1::bigint), (9007199254740991)) as t (n)`,
  )
  expect(numbersOf(rows[0]?.numbers ?? null)).toEqual([-1, Number.MAX_SAFE_INTEGER])
})
