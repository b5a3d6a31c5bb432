import { describe, expect, it } from 'vitest'
import { afterLook, type FenceState, type Look, UNSEEN } from './fence.ts'

// A model of appenders and one reader, run through every interleaving. A step is what PostgreSQL does in one instant.

/** `row`: takes the row of its key, as transactions that change one thing do. `show` and `free`: a commit is seen before its locks are free. */
type Act = 'row' | 'lock' | 'draw' | 'prepare' | 'show' | 'free' | 'undo'
type Reading = 'sequence' | 'holders' | 'rows'

interface Script {
  readonly key: string
  readonly acts: readonly Act[]
}

/** How the reader works: the real one, or one of those that people write first. */
interface Reader {
  readonly order: readonly Reading[]
  fence(state: FenceState, look: Look): FenceState
}

interface World {
  readonly at: readonly number[]
  readonly drawn: readonly (readonly number[])[]
  readonly lastDrawn: number
  readonly shown: readonly number[]
  readonly held: readonly (string | undefined)[]
  readonly rows: readonly string[]
  readonly readerAt: number
  readonly looked: Look
  readonly fence: FenceState
  readonly delivered: readonly number[]
}

const server = 'one'
const APPEND: readonly Act[] = ['row', 'lock', 'draw', 'show', 'free']
const TWICE: readonly Act[] = ['row', 'lock', 'draw', 'draw', 'show', 'free']
const real: Reader = { order: ['sequence', 'holders', 'rows'], fence: afterLook }
/** The cursor goes to the last row seen, whatever may still appear before it. */
const cursorOnly: Reader = { order: ['rows'], fence: () => ({ ...UNSEEN, final: Number.POSITIVE_INFINITY }) }
const holdersFirst: Reader = { ...real, order: ['holders', 'sequence', 'rows'] }
/** Takes a prepared transaction, which has another id since then, for one that has just come. */
const blindToPrepared: Reader = {
  ...real,
  fence: (state, look) => afterLook(state, { ...look, holders: look.holders.map(({ id }) => ({ id, prepared: false })) }),
}

describe('the appender fence', () => {
  const two = (acts: readonly Act[] = APPEND): Script[] => [
    { key: 'a', acts },
    { key: 'a', acts },
  ]
  const others: [string, Script[]][] = [
    ['of one key and of another', [...two(), { key: 'b', acts: APPEND }]],
    ['that append two records each', two(TWICE)],
    [
      'of which one rolls back, or dies, and leaves holes',
      [
        { key: 'a', acts: APPEND },
        { key: 'b', acts: ['lock', 'draw', 'draw', 'undo'] },
      ],
    ],
    [
      'of which one backend does two transactions',
      [
        { key: 'a', acts: TWICE },
        { key: 'b', acts: [...APPEND, ...APPEND] },
      ],
    ],
    [
      'of which one is prepared for two-phase commit',
      [
        { key: 'a', acts: TWICE },
        { key: 'b', acts: ['lock', 'draw', 'prepare', 'show', 'free'] },
      ],
    ],
    [
      'of which one appends twice while another comes and goes',
      [
        { key: 'a', acts: APPEND },
        { key: 'b', acts: ['lock', 'draw', 'draw', 'draw', 'show', 'free'] },
      ],
    ],
  ]
  it.each(others)('loses and inverts nothing in any interleaving of writers %s', (_name, scripts) => {
    const { states, lost, inverted, stuck } = explore(scripts, real)
    expect({ lost, inverted, stuck }).toEqual({ lost: 0, inverted: 0, stuck: 0 })
    expect(states).toBeGreaterThan(500)
  })

  const lateLock: readonly Act[] = ['row', 'draw', 'lock', 'draw', 'show', 'free']
  const earlyFree: readonly Act[] = ['row', 'lock', 'draw', 'free', 'show']
  const different = (acts: readonly Act[]): Script[] => [
    { key: 'a', acts },
    { key: 'b', acts },
  ]
  const wrong: [string, Script[], Reader][] = [
    ['a cursor without a fence', different(APPEND), cursorOnly],
    ['a lock that is taken after the first position is drawn', different(lateLock), real],
    ['a lock that is free before the commit is seen', different(earlyFree), real],
    ['a reader that looks at the holders before the sequence', different(APPEND), holdersFirst],
    ['a reader that is blind to prepared transactions', others[4]?.[1] ?? [], blindToPrepared],
  ]
  it.each(wrong)('is checked by something that finds %s wrong', (_name, scripts, reader) => {
    expect(explore(scripts, reader).lost).toBeGreaterThan(0)
  })

  it('begins anew when the sequence goes back, as after a failover that lost the last commits', () => {
    const before = afterLook(UNSEEN, { server, last: 100, holders: [] })
    expect(before).toMatchObject({ final: 100, setbacks: 0 })
    const holder = { id: '3/7', prepared: false }
    const behind = afterLook(before, { server, last: 90, holders: [holder] })
    expect(behind).toMatchObject({ final: 0, setbacks: 1 })
    expect(afterLook(behind, { server, last: 92, holders: [] })).toMatchObject({ final: 92, setbacks: 1 })
  })

  it('begins anew on another server, though its sequence is further than that of the one before', () => {
    const before = afterLook(UNSEEN, { server, last: 100, holders: [] })
    const other = afterLook(before, { server: 'other', last: 120, holders: [{ id: '3/7', prepared: false }] })
    expect(other).toMatchObject({ final: 0, setbacks: 1 })
    expect(afterLook(other, { server: 'other', last: 121, holders: [] })).toMatchObject({ final: 121, setbacks: 1 })
  })

  it('does not wait for a backend whose next transaction holds the lock again', () => {
    const first = afterLook(UNSEEN, { server, last: 5, holders: [{ id: '3/1', prepared: false }] })
    expect(first.final).toBe(0)
    expect(afterLook(first, { server, last: 7, holders: [{ id: '3/2', prepared: false }] }).final).toBe(5)
  })
})

/** Goes through every interleaving of the scripts and the reader; counts the ends at which something is wrong. */
function explore(scripts: readonly Script[], reader: Reader): { states: number; lost: number; inverted: number; stuck: number } {
  const seen = new Set<string>()
  const found = { lost: 0, inverted: 0, stuck: 0 }
  const start: World = {
    at: scripts.map(() => 0),
    drawn: scripts.map(() => []),
    lastDrawn: 0,
    shown: [],
    held: scripts.map(() => undefined),
    rows: [],
    readerAt: 0,
    looked: { server, last: 0, holders: [] },
    fence: UNSEEN,
    delivered: [],
  }
  const open = [start]
  for (let world = open.pop(); world; world = open.pop()) {
    const { at, drawn, held, readerAt, looked, fence, delivered } = world
    // The rest follows from these.
    const name = JSON.stringify([at, drawn, held, readerAt, looked, fence.final, fence.last, [...fence.floors], delivered])
    if (seen.has(name)) continue
    seen.add(name)
    open.push(read(world, reader))
    const moves = scripts.flatMap((script, index) => act(world, script, index) ?? [])
    open.push(...moves)
    const over = scripts.every(({ acts }, index) => world.at[index] === acts.length)
    if (moves.length === 0 && !over) found.stuck += 1
    if (over) count(settle(world, reader), found)
  }
  return { states: seen.size, ...found }
}

function act(world: World, { key, acts }: Script, index: number): World | undefined {
  const now = acts[world.at[index] ?? 0]
  if (!now || (now === 'row' && world.rows.includes(key))) return undefined
  const put = <T>(list: readonly T[], value: T) => list.map((old, at) => (at === index ? value : old))
  const next: World = { ...world, at: put(world.at, (world.at[index] ?? 0) + 1) }
  const mine = world.drawn[index] ?? []
  const freeRow = world.rows.filter((row) => row !== key)
  switch (now) {
    case 'row':
      return { ...next, rows: [...world.rows, key], drawn: put(world.drawn, []) }
    case 'lock':
      return { ...next, held: put(world.held, `${index}/${world.at[index]}`) }
    case 'draw':
      return { ...next, lastDrawn: world.lastDrawn + 1, drawn: put(world.drawn, [...mine, world.lastDrawn + 1]) }
    case 'prepare':
      return { ...next, held: put(world.held, `-1/${index}`) }
    case 'show':
      // Locks of rows and the fence are freed after it, in no order that matters here: the next of the key may go on.
      return { ...next, shown: [...world.shown, ...mine].sort((one, other) => one - other), rows: freeRow }
    case 'free':
      return { ...next, held: put(world.held, undefined) }
    case 'undo':
      return { ...next, held: put(world.held, undefined), rows: freeRow, drawn: put(world.drawn, []) }
  }
}

function read(world: World, reader: Reader): World {
  const reading = reader.order[world.readerAt % reader.order.length]
  const next = { ...world, readerAt: (world.readerAt + 1) % reader.order.length }
  if (reading === 'sequence') return { ...next, looked: { ...world.looked, last: world.lastDrawn } }
  if (reading === 'holders') {
    const holders = world.held.flatMap((id) => (id === undefined ? [] : [{ id, prepared: id.startsWith('-1') }]))
    return { ...next, looked: { ...world.looked, holders } }
  }
  const fence = reader.fence(world.fence, world.looked)
  const cursor = world.delivered.at(-1) ?? 0
  return {
    ...next,
    fence,
    delivered: [...world.delivered, ...world.shown.filter((position) => position > cursor && position <= fence.final)],
  }
}

/** Lets the reader finish. */
function settle(world: World, reader: Reader): World {
  let now = world
  for (let step = 0; step < 4 * reader.order.length; step += 1) now = read(now, reader)
  return now
}

function count({ shown, delivered }: World, found: { lost: number; inverted: number }): void {
  if (shown.some((position) => !delivered.includes(position))) found.lost += 1
  if (delivered.some((position, index) => position <= (delivered[index - 1] ?? 0))) found.inverted += 1
}
