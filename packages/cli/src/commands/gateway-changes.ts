import { readFile } from 'node:fs/promises'
import { messageOf } from '@banyan/core'
import { describeDiff, diffConfigs, type HistoryEntry, isEmptyDiff, parseGatewayFile, type RouteConfig } from '@banyan/gateway'
import { Command } from 'commander'
import { type AdminPlace, askAdmin, changesOf } from '../admin-client.ts'
import { CliError } from '../errors.ts'
import { wholeNumber } from '../option-values.ts'
import type { Output } from '../program.ts'
import { table } from '../table.ts'

interface AdminOptions extends AdminPlace {
  readonly json?: boolean
}

/** `banyan gateway reload | restart | diff | history | rollback | routes`: what asks the admin port of a running gateway. */
export function gatewayChangeCommands(output: Output): Command[] {
  return [
    asking('reload', 'have the gateway take its file as it is now, or another one')
      .argument('[file]', 'a file that takes the place of its own')
      .action(async (file: string | undefined, options: AdminOptions) => {
        tell(output, options, await askAdmin(options, 'POST', '/reload', file === undefined ? '' : await textOf(file)))
      }),
    asking('restart', 'replace its processes, one after the other, failing no request').action(async (options: AdminOptions) => {
      await askAdmin(options, 'POST', '/restart')
      output.write(options.json ? '{"restarted":true}\n' : 'restarted\n')
    }),
    diffCommand(output),
    asking('history', 'the last good configurations, newest first').action(async (options: AdminOptions) => {
      const text = await askAdmin(options, 'GET', '/history')
      const { history } = JSON.parse(text) as { history: HistoryEntry[] } // as our own admin port says it
      const rows = history.map(({ id, at, source, sha256 }) => [String(id), at, source, sha256.slice(0, 12)])
      output.write(options.json ? `${text}\n` : table(['id', 'at', 'source', 'sha256'], rows))
    }),
    asking('rollback', 'go back to a configuration of the history')
      .argument('<id>', 'its number, as "history" shows it', wholeNumber(1, 999_999_999))
      .action(async (id: number, options: AdminOptions) => tell(output, options, await askAdmin(options, 'POST', `/rollback?id=${id}`))),
    asking('routes', 'the routes in force').action(async (options: AdminOptions) => {
      const text = await askAdmin(options, 'GET', '/routes')
      const { routes } = JSON.parse(text) as { routes: RouteConfig[] } // as our own admin port says it
      output.write(options.json ? `${text}\n` : table(['methods', 'hosts', 'path', 'to', 'plugins'], routes.map(rowOf)))
    }),
  ]
}

function diffCommand(output: Output): Command {
  return new Command('diff')
    .description('say what a file would change: of another file, or of the running gateway')
    .argument('<file>', 'a gateway file')
    .argument('[other]', 'another one that is compared with it; left out, the running gateway is')
    .option('--admin <url>', 'the admin port of the running gateway', 'http://127.0.0.1:8081')
    .option('--token-file <file>', 'a file with its token; left out, GATEWAY_ADMIN_TOKEN')
    .option('--json', 'as JSON, for programs')
    .action(async (file: string, other: string | undefined, options: AdminOptions) => {
      if (other === undefined) return tell(output, options, await askAdmin(options, 'POST', '/diff', await textOf(file)))
      const [before, after] = [parseGatewayFile(await textOf(file), file), parseGatewayFile(await textOf(other), other)]
      const diff = diffConfigs(before, after)
      if (options.json) output.write(`${JSON.stringify({ differs: !isEmptyDiff(diff), ...diff })}\n`)
      else output.write(`${isEmptyDiff(diff) ? 'nothing changes' : describeDiff(diff).join('\n')}\n`)
    })
}

function asking(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option('--admin <url>', 'its admin port', 'http://127.0.0.1:8081')
    .option('--token-file <file>', 'a file with its token; left out, GATEWAY_ADMIN_TOKEN')
    .option('--json', 'as JSON, for programs')
}

function tell(output: Output, { json }: AdminOptions, text: string): void {
  output.write(json ? `${text}\n` : `${changesOf(text).join('\n')}\n`)
}

function rowOf({ methods = [], hosts = [], path, service, url, aggregate, plugins = [] }: RouteConfig): string[] {
  const to = service ?? url ?? Object.keys(aggregate ?? {}).join(' + ')
  return [methods.join(' ') || 'all', hosts.join(' ') || 'all', path, to, plugins.map(({ name }) => name).join(' ')]
}

/** @throws {CliError} `ERR_USAGE` */
export async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CliError('ERR_USAGE', `cannot read the gateway file "${file}": ${messageOf(cause)}`, { cause })
  }
}
