import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { messageOf } from '@banyan/core'
import { GatewayError } from './errors.ts'

/**
 * Reads files that a configuration names, relative to its own.
 *
 * @param gatewayFile left out: relative to where the process runs
 */
export function fileReader(gatewayFile: string | undefined): (file: string) => string {
  const folder = gatewayFile === undefined ? '.' : dirname(gatewayFile)
  return (file) => {
    try {
      return readFileSync(resolve(folder, file), 'utf8')
    } catch (cause) {
      throw new GatewayError('ERR_FILE_UNREADABLE', `cannot read "${file}", which the gateway file names: ${messageOf(cause)}`, { cause })
    }
  }
}
