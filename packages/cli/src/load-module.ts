import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { messageOf } from '@banyan/core'
import { CliError } from './errors.ts'

/** A user's module: what it exports, by name. */
export type LoadedModule = Readonly<Record<string, unknown>>

/**
 * Imports a module of the user's; what it does while it is imported, it does.
 *
 * @param file its path, from the working directory
 * @throws {CliError} `ERR_USAGE` for one that cannot be read, with why
 */
export async function loadModule(file: string): Promise<LoadedModule> {
  try {
    return await import(pathToFileURL(resolve(file)).href)
  } catch (cause) {
    throw new CliError('ERR_USAGE', `cannot read "${file}": ${messageOf(cause)}${placeOf(cause)}`, { cause })
  }
}

/** Where a syntax error is, as the runtime puts it before the stack: it may be in a module that this one imports. */
function placeOf(cause: unknown): string {
  const place = cause instanceof SyntaxError ? /^(\S.*:\d+)\n/.exec(cause.stack ?? '')?.[1] : undefined
  return place === undefined ? '' : `, at ${place}`
}
