import { readFile } from 'node:fs/promises'
import { messageOf } from '@banyan/core'
import { CliError } from './errors.ts'

/** Where a gateway's admin port is, and who asks. */
export interface AdminPlace {
  /** `http://127.0.0.1:8081`. */
  readonly admin: string
  /** A file with the token. Default: the variable `GATEWAY_ADMIN_TOKEN`. */
  readonly tokenFile?: string | undefined
}

/**
 * Asks the admin port of a gateway.
 *
 * @throws {CliError} `ERR_ADMIN` with what it said when it said no; `ERR_USAGE` without a token, or with one that cannot be sent, or
 *   where `admin` is no URL
 */
export async function askAdmin(place: AdminPlace, method: 'GET' | 'POST', path: string, body?: string): Promise<string> {
  const url = urlOf(place.admin, path)
  const headers = { authorization: `Bearer ${await tokenOf(place)}` }
  let response: Response
  try {
    response = await fetch(url, { method, headers, ...(body !== undefined && { body }) })
  } catch (cause) {
    const why = messageOf(cause instanceof Error && cause.cause ? cause.cause : cause)
    throw new CliError(
      'ERR_ADMIN',
      `cannot reach the admin port at ${place.admin}: ${why}; does the gateway run, and does its file say "admin"?`,
      { cause },
    )
  }
  const text = await response.text()
  if (response.ok) return text
  throw new CliError('ERR_ADMIN', detailOf(text) ?? `the admin port answered ${response.status}`)
}

/** A change of the configuration, as the admin port tells it. */
export interface ToldChanges {
  readonly differs: boolean
  readonly text: readonly string[]
}

/** The lines of an answer that tells of changes. */
export function changesOf(text: string): readonly string[] {
  // Asked of our own admin port.
  const { differs, text: lines } = JSON.parse(text) as ToldChanges
  return differs ? lines : ['nothing changes']
}

function urlOf(admin: string, path: string): URL {
  const url = URL.canParse(admin) ? new URL(admin) : undefined
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password) return new URL(path, url)
  // Not the text itself: it may hold a password.
  throw new CliError('ERR_USAGE', '--admin is no address of an admin port: wanted http://127.0.0.1:8081, without a password')
}

async function tokenOf({ tokenFile }: AdminPlace): Promise<string> {
  if (tokenFile !== undefined) {
    const text = await readFile(tokenFile, 'utf8').catch((cause) => {
      throw new CliError('ERR_USAGE', `cannot read the token file "${tokenFile}": ${messageOf(cause)}`, { cause })
    })
    return sendable(text.trim(), `the token file "${tokenFile}"`)
  }
  const token = process.env.GATEWAY_ADMIN_TOKEN
  if (token) return sendable(token, 'GATEWAY_ADMIN_TOKEN')
  throw new CliError('ERR_USAGE', 'the admin port needs a token: name its file with --token-file, or set GATEWAY_ADMIN_TOKEN')
}

/** Looked at here because the error of a header that cannot be sent prints it whole. */
function sendable(token: string, place: string): string {
  if (token === '') throw new CliError('ERR_USAGE', `${place} is empty, wanted the token of the admin port`)
  if (/^[\t\x20-\x7e\x80-\xff]+$/.test(token)) return token
  throw new CliError('ERR_USAGE', `${place} has more than one line, or signs that a header cannot carry; wanted the token alone`)
}

function detailOf(text: string): string | undefined {
  try {
    const problem: unknown = JSON.parse(text)
    return typeof problem === 'object' && problem !== null && 'detail' in problem ? String(problem.detail) : undefined
  } catch {
    // Not ours: the status has to do.
    return undefined
  }
}
