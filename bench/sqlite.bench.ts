import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Database } from '@banyan/core'
import { sqlite } from '@banyan/sqlite'
import { median, writeReport } from './report.ts'

const HELP = `npm run bench -- sqlite [--rounds 5] [--seconds 1] [--producers 64]

Commits a second of one SQLite file, each transaction one insert of about 200 bytes, synchronous=FULL throughout:
  one by one   one producer that awaits each commit: every transaction has its own BEGIN, COMMIT and sync of the disk
  grouped      64 producers: transactions that come while one runs share a commit
Rounds of both take turns, each on a new file, on the disk of this repository. Fails when grouped is not 10 times as fast.`

const WANTED_RATIO = 10

/** Measures and reports. */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '1' },
      producers: { type: 'string', default: '64' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return console.log(HELP)
  const rounds = number('rounds', values.rounds)
  const seconds = number('seconds', values.seconds)
  const producers = number('producers', values.producers)

  const alone: number[] = []
  const grouped: number[] = []
  await round(1, seconds / 4)
  for (let index = 1; index <= rounds; index += 1) {
    alone.push(await round(1, seconds))
    grouped.push(await round(producers, seconds))
    console.log(`round ${index}: one by one ${text(alone.at(-1))}/s, grouped at ${producers} ${text(grouped.at(-1))}/s`)
  }
  report(alone, grouped, { seconds, producers })
}

/** @returns commits a second of `producers` that each await one commit after the other */
async function round(producers: number, seconds: number): Promise<number> {
  // Beside this file and not in the system's folder for temporary files: that may be memory, where a sync costs nothing.
  const data = join(import.meta.dirname, 'data')
  mkdirSync(data, { recursive: true })
  const folder = mkdtempSync(join(data, 'sqlite-'))
  const database = sqlite(join(folder, 'bench.db'))
  try {
    await database.migrate([
      { id: 'bench', sql: 'create table events (id integer primary key, subject text not null, body text not null)' },
    ])
    await assertFull(database)
    const startedAt = performance.now()
    const counts = await Promise.all(Array.from({ length: producers }, (_, index) => produce(database, index, startedAt + seconds * 1_000)))
    return counts.reduce((sum, count) => sum + count, 0) / ((performance.now() - startedAt) / 1_000)
  } finally {
    await database.close()
    rmSync(folder, { recursive: true })
  }
}

async function produce(database: Database, producer: number, until: number): Promise<number> {
  const body = JSON.stringify({ orderId: `order-${producer}`, note: '.'.repeat(160) })
  let commits = 0
  while (performance.now() < until) {
    await database.transaction((tx) => tx.sql`insert into events (subject, body) values (${`order-${producer}`}, ${body})`)
    commits += 1
  }
  return commits
}

/** Figures of another mode would compare the wrong things. */
async function assertFull(database: Database): Promise<void> {
  const [row] = await database.transaction((tx) => tx.sql<{ synchronous: number }>`select synchronous from pragma_synchronous`)
  if (row?.synchronous !== 2) throw new Error(`cannot measure: "synchronous" is ${row?.synchronous}, wanted 2 (FULL)`)
}

function report(alone: readonly number[], grouped: readonly number[], settings: { seconds: number; producers: number }): void {
  const ratio = median(grouped) / median(alone)
  const met = ratio >= WANTED_RATIO
  const file = writeReport('sqlite', {
    settings: { ...settings, rounds: alone.length, synchronous: 'FULL', journal: 'WAL' },
    commitsPerSecond: {
      oneByOne: { median: Math.round(median(alone)), rounds: alone.map(Math.round) },
      grouped: { median: Math.round(median(grouped)), rounds: grouped.map(Math.round) },
    },
    ratio: Number(ratio.toFixed(1)),
    wantedRatio: WANTED_RATIO,
    met,
  })
  console.log(`\nmedian of ${alone.length} rounds, synchronous=FULL`)
  console.log(`  one by one          ${text(median(alone)).padStart(9)} commits/s`)
  console.log(`  grouped, ${String(settings.producers).padStart(3)} at once ${text(median(grouped)).padStart(8)} commits/s`)
  console.log(
    `  ratio               ${ratio.toFixed(1).padStart(9)} x, wanted ${WANTED_RATIO} x or more: ${met ? 'met' : 'NOT met'}\n${file}`,
  )
  if (!met) process.exitCode = 1
}

function text(value: number | undefined): string {
  return Math.round(value ?? 0).toLocaleString('en')
}

function number(name: string, value: string): number {
  const parsed = Number(value)
  if (parsed > 0) return parsed
  throw new RangeError(`cannot run the benchmark: "--${name}" is "${value}", wanted a number above 0`)
}
