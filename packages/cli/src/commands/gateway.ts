import { readFile } from 'node:fs/promises'
import { messageOf, type Registry } from '@banyan/core'
import { consulRegistry, staticRegistry } from '@banyan/discovery'
import { gateway, parseGatewayFile } from '@banyan/gateway'
import { startTelemetry } from '@banyan/otel'
import { redisRateLimits } from '@banyan/redis'
import { createLogger, logLevelOf, runUntilSignal } from '@banyan/service'
import { Command } from 'commander'
import { CliError } from '../errors.ts'
import { wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'

const EXAMPLES = `
Examples:
  $ banyan gateway check gateway.yaml
  $ banyan gateway run gateway.yaml --registry http://127.0.0.1:8500
  $ banyan gateway run gateway.yaml --port 9000`

/** `banyan gateway run | check` */
export function gatewayCommand(output: Output): Command {
  const command = new Command('gateway').description('run an API gateway, or look its file over').addHelpText('afterAll', EXAMPLES)
  command
    .command('check <file>')
    .description('say what is wrong with a gateway file, line by line')
    .action(async (file: string) => {
      const config = parseGatewayFile(await textOf(file), file)
      output.write(`${file} is fine: ${config.routes.length} routes\n`)
    })
  command
    .command('run <file>')
    .description('run the gateway; a changed file takes effect at once, a bad one changes nothing')
    .option('--registry <url>', 'where services are found; left out, only routes with a url work')
    .option('--port <number>', 'in place of the port in "listen"', wholeNumber(0, 65_535))
    .action((file: string, options: { registry?: string; port?: number }) => run(output, file, options))
  return command
}

async function run(output: Output, file: string, options: { registry?: string; port?: number }): Promise<void> {
  const log = createLogger({ service: 'gateway', level: logLevelOf(process.env.LOG_LEVEL) })
  const telemetry = startTelemetry({ service: 'gateway', env: process.env })
  const found = options.registry ? consulRegistry({ url: options.registry, log }) : undefined
  const registry: Registry = found ?? staticRegistry({})
  const port = options.port === undefined ? {} : { port: options.port }
  const made = gateway({ file, registry, rateLimits: (url) => redisRateLimits({ url, log }), log, metrics: telemetry.metricsText, ...port })
  try {
    const { url } = await made.start()
    output.write(`the gateway listens on ${url}\n`)
    await runUntilSignal([{ stop: () => made.stop() }], { log })
  } finally {
    await found?.close()
    await telemetry.stop()
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CliError('ERR_USAGE', `cannot read the gateway file "${file}": ${messageOf(cause)}`, { cause })
  }
}
