import { messageOf } from '@banyan/core'
import { checkPluginFiles, parseGatewayFile } from '@banyan/gateway'
import { createLogger, logLevelOf, runUntilSignal } from '@banyan/service'
import { Command } from 'commander'
import { wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'
import { runGateway } from '../run-gateway.ts'
import { gatewayChangeCommands, textOf } from './gateway-changes.ts'
import { newKeyCommand } from './gateway-new-key.ts'
import { schemaCommand } from './gateway-schema.ts'

const EXAMPLES = `
Examples:
  $ banyan gateway check gateway.yaml
  $ banyan gateway run gateway.yaml --registry http://127.0.0.1:8500
  $ banyan gateway run gateway.yaml --processes 4
  $ banyan gateway diff gateway.yaml            what the file would change in the running gateway
  $ banyan gateway reload --token-file token
  $ banyan gateway rollback 7

What asks a running gateway needs "admin" and "admin_token" in its file. SIGHUP has it take its file, too.`

interface RunOptions {
  readonly registry?: string
  readonly port?: number
  readonly processes?: number
  readonly historyDir?: string
}

/** `banyan gateway run | check | reload | restart | diff | history | rollback | routes | new-key | schema` */
export function gatewayCommand(output: Output): Command {
  const command = new Command('gateway')
    .description('run an API gateway, look its file over, change it while it runs')
    .addHelpText('afterAll', EXAMPLES)
  command
    .command('check <file>')
    .description('say what is wrong with a gateway file, line by line')
    .action(async (file: string) => {
      const config = parseGatewayFile(await textOf(file), file)
      checkPluginFiles(config, file)
      output.write(`${file} is fine: ${config.routes.length} routes\n`)
    })
  command
    .command('run <file>')
    .description('run the gateway; a changed file takes effect at once, a bad one changes nothing')
    .option('--registry <url>', 'where services are found; left out, only routes with a url work')
    .option('--port <number>', 'in place of the port in "listen"', wholeNumber(0, 65_535))
    .option('--processes <number>', 'so many processes on one port, watched over by this one (Linux)', wholeNumber(1, 256))
    .option('--history-dir <folder>', 'where good configurations are kept (default: <file>.history)')
    .action((file: string, options: RunOptions) => run(output, file, options))
  for (const change of gatewayChangeCommands(output)) command.addCommand(change)
  command.addCommand(newKeyCommand(output)).addCommand(schemaCommand(output))
  return command
}

async function run(output: Output, file: string, { registry, port, processes, historyDir }: RunOptions): Promise<void> {
  const log = createLogger({ service: 'gateway', level: logLevelOf(process.env.LOG_LEVEL) })
  const running = await runGateway({
    plan: { file, registryUrl: registry, port },
    processes,
    historyFolder: historyDir,
    onLine: (name, line) => output.write(line.startsWith('{') ? `${line}\n` : `${name}: ${line}\n`),
    log,
  })
  const onHangUp = () => void running.reload().catch((error) => log.error({ file }, `the file is not taken: ${messageOf(error)}`))
  process.on('SIGHUP', onHangUp)
  try {
    output.write(`the gateway listens on ${running.url}${running.adminUrl ? `, its admin port on ${running.adminUrl}` : ''}\n`)
    await runUntilSignal([running], { log })
  } finally {
    process.off('SIGHUP', onHangUp)
  }
}
