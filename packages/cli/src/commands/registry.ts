import { registryServer } from '@banyan/discovery'
import { createLogger, logLevelOf, runUntilSignal } from '@banyan/service'
import { Command } from 'commander'
import { wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'

const EXAMPLES = `
Examples:
  $ banyan registry
  $ banyan registry --port 8501 --state-file data/registry.json --token "$TOKEN"
  $ curl http://127.0.0.1:8500/v1/health/service/orders?passing`

/** `banyan registry` */
export function registryCommand(output: Output): Command {
  return new Command('registry')
    .description("run the embedded registry; it speaks the part of Consul's HTTP API that clients use")
    .option('--host <address>', 'where to listen', '127.0.0.1')
    .option('--port <number>', '0 takes a free one', wholeNumber(0, 65_535), 8500)
    .option('--state-file <file>', 'keep the state here across restarts')
    .option('--token <secret>', 'what clients must send as X-Consul-Token')
    .addHelpText('after', EXAMPLES)
    .action(async (options: { host: string; port: number; stateFile?: string; token?: string }) => {
      const log = createLogger({ service: 'registry', level: logLevelOf(process.env.LOG_LEVEL) })
      const registry = registryServer({ ...options, log })
      const { url } = await registry.start()
      output.write(`the registry listens on ${url}\n`)
      await runUntilSignal([registry], { log })
    })
}
