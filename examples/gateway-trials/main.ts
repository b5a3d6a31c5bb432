// Trials of the gateway's promises, in real processes: npm run gateway-trial -- <name> [options]
import { codeOf, messageOf, nearest } from '@banyan/core'

/** A promise put to the test. */
interface Trial {
  readonly summary: string
  readonly load: () => Promise<{ run(args: readonly string[]): Promise<boolean> }>
}

const trials: Readonly<Record<string, Trial>> = {
  reloads: { summary: 'no request fails over reloads and a rolling restart of all processes', load: () => import('./reloads.ts') },
  kill: { summary: 'one of two services is killed with kill -9: no GET fails, no POST is done twice', load: () => import('./kill.ts') },
  outage: { summary: 'a service that fails is not asked much more often than clients ask', load: () => import('./outage.ts') },
  seeds: { summary: 'the gateway file of the seeds, as it stands, before the shop', load: () => import('./seeds.ts') },
  limit: { summary: 'gateways that share a Redis never let more through than the limit', load: () => import('./limit.ts') },
}

const [name, ...args] = process.argv.slice(2)
const trial = name !== undefined && Object.hasOwn(trials, name) ? trials[name] : undefined
if (trial) process.exitCode = await runTrial(trial)
else if (name === undefined || name === '--help') console.log(usage())
else {
  const near = nearest(name, Object.keys(trials))
  console.error(`there is no trial "${name}"${near ? `; did you mean "${near}"?` : ''}\n\n${usage()}`)
  process.exitCode = 2
}

/** 0: the promise holds; 1: it does not; 2: an option is wrong. */
async function runTrial({ load }: Trial): Promise<number> {
  try {
    return (await (await load()).run(args)) ? 0 : 1
  } catch (error) {
    if (!(error instanceof RangeError) && !codeOf(error)?.startsWith('ERR_PARSE_ARGS')) throw error
    console.error(messageOf(error))
    return 2
  }
}

function usage(): string {
  const lines = Object.entries(trials).map(([known, { summary }]) => `  ${known.padEnd(8)} ${summary}`)
  return `npm run gateway-trial -- <name> [--help]\n\n${lines.join('\n')}\n\nEach prints its counts; exit code 0: the promise holds, 1: it does not.`
}
