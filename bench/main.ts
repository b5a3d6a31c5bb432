import { codeOf, messageOf } from '@banyan/core'

// npm run bench -- <name> [options]

/** Each module's `run` measures, prints, and writes bench/results/<name>.json. */
interface Bench {
  /** One line for the list. */
  readonly summary: string
  readonly load: () => Promise<{ run: (args: readonly string[]) => Promise<void> }>
}

const benches: Readonly<Record<string, Bench>> = {
  sqlite: { summary: 'commits a second, one by one and grouped, at synchronous=FULL', load: () => import('./sqlite.bench.ts') },
  saga: { summary: 'sagas a second beside DBOS and Restate; --resume: after kill -9', load: () => import('./saga.bench.ts') },
  relay: { summary: 'messages a second of the relay beside job queues and another outbox', load: () => import('./relay.bench.ts') },
  rpc: { summary: 'calls a second between two processes beside undici, Moleculer, NestJS and gRPC', load: () => import('./rpc.bench.ts') },
  balance: { summary: 'balancers in simulated situations, and nanoseconds a pick', load: () => import('./balance.bench.ts') },
  policy: { summary: 'what a policy costs a call, beside cockatiel, opossum and p-retry', load: () => import('./policy.bench.ts') },
  commit: { summary: 'what publishing costs a transaction, and how soon a handler has the event', load: () => import('./commit.bench.ts') },
  gateway: { summary: 'what a proxy costs beside Node proxies and nginx; routes; reloads', load: () => import('./gateway.bench.ts') },
  corpus: { summary: 'bad input; --peers: what other proxies make of it', load: () => import('./corpus.bench.ts') },
  registry: {
    summary: 'a change to 200 watchers, registrations a second, blocking queries held',
    load: () => import('./registry.bench.ts'),
  },
}

const [name, ...args] = process.argv.slice(2)
const bench = name === undefined || !Object.hasOwn(benches, name) ? undefined : benches[name]
if (bench) await (await bench.load()).run(args).catch(explain)
else if (name === undefined || name === '--help' || name === '-h') console.log(usage())
else {
  console.error(`cannot run the benchmark "${name}": there is none of that name\n\n${usage()}`)
  process.exitCode = 1
}

/** What the caller got wrong is told in a line; everything else with all there is to know. */
function explain(error: unknown): void {
  if (!(error instanceof RangeError) && !codeOf(error)?.startsWith('ERR_PARSE_ARGS')) throw error
  console.error(messageOf(error))
  process.exitCode = 1
}

function usage(): string {
  const list = Object.entries(benches).map(([known, { summary }]) => `  ${known.padEnd(10)} ${summary}`)
  return `npm run bench -- <name> [--help]\n\n${list.join('\n')}\n\nEach writes its figures to bench/results/<name>.json.`
}
