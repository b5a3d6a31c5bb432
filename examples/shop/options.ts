// The words on the command lines of the shop's two programs.
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

export interface StartOptions {
  oneProcess: boolean
  dataDir: string
  port: number
}

export interface LoadOptions {
  orders: number
  chaos: boolean
  kills: number
  seed: number
  checkouts: readonly ('orchestration' | 'choreography')[]
  oneProcess: boolean
  keep: boolean
  /** How long the registry is dead under a steady load, milliseconds, in place of the load of orders. */
  registryOutageMs: number | undefined
}

const START_HELP = `Starts the shop and places three orders through its gateway.

  npm start                          every service is a process of its own
  npm start -- --one-process         all services in one process
  npm start -- --port 9000           the gateway's port; default 8080; 0 takes a free one
  npm start -- --data-dir /tmp/shop  where the databases live; default examples/shop/data
  SHOP_DATABASE=postgres npm start   the services' databases in PostgreSQL, on the server of SHOP_DATABASE_URL or one for this run`

const LOAD_HELP = `Places a load of orders and checks every invariant of the shop.

  npm run shop -- --orders 1000 --chaos      with kill -9 all over it, in both checkouts
  npm run shop -- --orders 200               without
  npm run shop -- --chaos --seed 7           the same plan of kills again
  npm run shop -- --chaos --kills 40         more of them, or fewer: from 1, default 24
  npm run shop -- --checkout choreography    one checkout only: orchestration, choreography or both (default)
  npm run shop -- --one-process              all services in one process; then that one is killed
  npm run shop -- --keep                     leave the databases for a look
  npm run shop -- --registry-outage-ms 60000 kill the registry for so long under a steady load, and count what clients see of it
  SHOP_DATABASE=postgres npm run shop        the services' databases in PostgreSQL, on the server of SHOP_DATABASE_URL or one for this run`

/**
 * @param home the folder of the data where nothing else is said
 * @throws an error in one line for a word it does not know
 */
export function startOptions(args: readonly string[], home: URL): StartOptions {
  const { values } = parse({
    args: [...args],
    options: {
      'one-process': { type: 'boolean', default: false },
      'data-dir': { type: 'string', default: fileURLToPath(home) },
      port: { type: 'string', default: process.env.GATEWAY_PORT || '8080' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) helpAndExit(START_HELP)
  return { oneProcess: values['one-process'], dataDir: values['data-dir'], port: whole('port', values.port, 0, 65_535) }
}

/** @throws an error in one line for a word it does not know */
export function loadOptions(args: readonly string[]): LoadOptions {
  const { values } = parse({
    args: [...args],
    options: {
      orders: { type: 'string', default: '200' },
      chaos: { type: 'boolean', default: false },
      kills: { type: 'string' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      checkout: { type: 'string', default: 'both' },
      'one-process': { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      'registry-outage-ms': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) helpAndExit(LOAD_HELP)
  const outage = values['registry-outage-ms']
  if (values.kills !== undefined && !values.chaos) throw new Error('--kills is how often --chaos kills; it goes with --chaos alone')
  return {
    orders: whole('orders', values.orders, 1, 1_000_000),
    chaos: values.chaos,
    kills: values.chaos ? whole('kills', values.kills ?? '24', 1, 10_000) : 0,
    seed: whole('seed', values.seed, 0, Number.MAX_SAFE_INTEGER),
    checkouts: checkoutsOf(values.checkout),
    oneProcess: values['one-process'],
    keep: values.keep,
    registryOutageMs: outage === undefined ? undefined : whole('registry-outage-ms', outage, 1_000, 3_600_000),
  }
}

/** Node's own reading, with a word on where the right ones are. */
const parse: typeof parseArgs = (config) => {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message.split('.')[0] : String(error)}; --help lists the options`, { cause: error })
  }
}

function checkoutsOf(value: string): LoadOptions['checkouts'] {
  if (value === 'both') return ['orchestration', 'choreography']
  if (value === 'orchestration' || value === 'choreography') return [value]
  throw new Error(`--checkout is "${value}", wanted orchestration, choreography or both`)
}

function whole(name: string, text: string, least: number, most: number): number {
  // Of nothing Number makes 0.
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new Error(`--${name} is "${text}", wanted a whole number from ${least} to ${most}`)
}

function helpAndExit(text: string): never {
  console.log(text)
  process.exit(0)
}
