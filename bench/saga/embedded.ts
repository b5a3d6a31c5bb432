import { runContestant } from '../contestant.ts'
import { inFolder } from '../folder.ts'
import { median } from '../report.ts'
import { alone, note, printVerdicts, type Verdict } from '../verdict.ts'
import { COMMITS } from './bare.ts'
import type { LevelResult, SagaResult, SagaTask } from './child.ts'

export const EMBEDDED_HELP = `
--sqlite: ours on SQLite alone, without PostgreSQL and peers, in turns with a bare node:sqlite that commits as often and as much as such a saga
does: what the disk allows one at a time. About 10 s a round. Writes nothing.
`

const TIMEOUT_MS = 60_000

/** The embedded engine, and the floor it stands on. */
export async function measureEmbedded({ rounds, quick }: { rounds: number; quick: boolean }): Promise<void> {
  const seconds = quick ? 1 : 3
  const ours: (readonly LevelResult[])[] = []
  const bare: (readonly LevelResult[])[] = []
  for (let round = 1; round <= rounds; round += 1) {
    bare.push(await levelsOf({ subject: 'bare', levels: [1], seconds }))
    ours.push(await levelsOf({ subject: 'sqlite', levels: [1, 16, 64], seconds }))
    const rates = [...(bare.at(-1) ?? []), ...(ours.at(-1) ?? [])].map(({ sagasPerSecond }) => Math.round(sagasPerSecond))
    console.error(`round ${round} of ${rounds}: bare, then ours with 1, 16, 64 in flight: ${rates.join(', ')}/s`)
  }
  console.log(`\nsagas of four steps on SQLite, synchronous=FULL, median of ${rounds} rounds of ${seconds} s each\n`)
  if (!printVerdicts(judge(ours, bare))) process.exitCode = 1
}

async function levelsOf(task: Omit<SagaTask, 'url' | 'folder'>): Promise<readonly LevelResult[]> {
  const site = (folder: string) => ({ ...task, url: '', folder })
  const { levels } = await inFolder((folder) => runContestant<SagaResult>('saga/child.ts', site(folder), TIMEOUT_MS))
  return levels
}

function judge(ours: readonly (readonly LevelResult[])[], bare: readonly (readonly LevelResult[])[]): Verdict[] {
  const rate = (rounds: typeof ours, wanted: number) =>
    median(rounds.map((levels) => levels.find(({ inFlight }) => inFlight === wanted)?.sagasPerSecond ?? Number.NaN))
  const floor = rate(bare, 1)
  return [
    alone('64 in flight', rate(ours, 64), { atLeast: 6_000 }, '/s'),
    note('16 in flight', rate(ours, 16), '/s'),
    alone('one at a time', rate(ours, 1), { atLeast: 1_200 }, '/s'),
    note('bare node:sqlite, one at a time', floor, '/s'),
    note('its commits', floor * COMMITS, '/s'),
    note('one at a time, to the bare one', rate(ours, 1) / floor, 'x'),
  ]
}
