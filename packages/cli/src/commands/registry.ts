import { registryServer } from '@banyan/discovery'
import { createLogger, logLevelOf, runUntilSignal } from '@banyan/service'
import { Command, Option } from 'commander'
import { wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'

const EXAMPLES = `
Examples:
  $ banyan registry
  $ banyan registry --port 8501 --state-file data/registry.json
  $ BANYAN_REGISTRY_TOKEN=... banyan registry --host 0.0.0.0 --tokens tokens.json
  $ curl http://127.0.0.1:8500/v1/health/service/orders?passing

A token file says who may read and write which services, by the beginning of their names; the longest that fits counts:
  {
    "tokens": [
      { "name": "orders", "secret": "...", "services": { "orders": "write", "": "read" } },
      { "name": "operator", "secret": "...", "services": { "": "write" }, "node": "write" }
    ],
    "anonymous": { "services": { "public-": "read" } }
  }
Clients send the secret as X-Consul-Token, as a bearer token, or as ?token=. The file is read at the start.`

interface RegistryOptions {
  host: string
  port: number
  stateFile?: string
  token?: string
  tokens?: string
  longestWaitMs: number
  maxBodyBytes: number
}

/** `banyan registry` */
export function registryCommand(output: Output): Command {
  return new Command('registry')
    .description("run the embedded registry; it speaks the part of Consul's HTTP API that clients use")
    .option('--host <address>', 'where to listen; an address that other machines reach needs a token', '127.0.0.1')
    .option('--port <number>', '0 takes a free one', wholeNumber(0, 65_535), 8500)
    .option('--state-file <file>', 'keep the state here across restarts; a damaged one is moved aside')
    .option('--tokens <file>', 'a JSON file of tokens and what each may do; see below')
    .addOption(new Option('--token <secret>', 'one token that may do everything; better in the variable').env('BANYAN_REGISTRY_TOKEN'))
    .option('--longest-wait-ms <ms>', 'the longest a blocking query may wait, milliseconds', wholeNumber(1_000, 3_600_000), 600_000)
    .option('--max-body-bytes <bytes>', 'the largest registration taken, bytes', wholeNumber(1_024, 67_108_864), 524_288)
    .addHelpText('after', EXAMPLES)
    .action((options: RegistryOptions) => run(output, options))
}

async function run(output: Output, { tokens, ...options }: RegistryOptions): Promise<void> {
  const log = createLogger({ service: 'registry', level: logLevelOf(process.env.LOG_LEVEL) })
  const registry = registryServer({ ...options, log, ...(tokens === undefined ? {} : { tokenFile: tokens }) })
  const { url } = await registry.start()
  output.write(`the registry listens on ${url}\n`)
  await runUntilSignal([registry], { log })
}
