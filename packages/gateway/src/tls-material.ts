import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { messageOf } from '@banyan/core'
import type { TlsConfig } from './config.ts'
import { GatewayError } from './errors.ts'

/** What a server needs to speak TLS, read from its files. */
export interface TlsMaterial {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer | undefined
  /** Whether clients are asked for a certificate, and whether one is needed. */
  readonly clients: 'none' | 'optional' | 'required'
  /** Whether HTTP/2 is offered to clients. */
  readonly http2: boolean
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
}

/**
 * Reads certificates and keys; their paths are relative to the gateway file.
 *
 * @throws {GatewayError} `ERR_CONFIG_INVALID`, naming the key of the file that is wrong
 */
export async function readTls(config: TlsConfig, gatewayFile: string | undefined): Promise<TlsMaterial> {
  const folder = gatewayFile === undefined ? process.cwd() : dirname(gatewayFile)
  const read = (key: 'cert' | 'key' | 'ca', path: string) =>
    readFile(resolve(folder, path)).catch((cause) => {
      throw invalid(`"${key}" of "tls" is "${path}", which cannot be read: ${messageOf(cause)}`, cause)
    })
  const [cert, key, ca] = await Promise.all([
    read('cert', config.cert),
    read('key', config.key),
    config.ca === undefined ? undefined : read('ca', config.ca),
  ])
  const material = {
    cert,
    key,
    ca,
    clients: config.client_certificate ?? 'none',
    minVersion: config.min_version ?? 'TLSv1.2',
    http2: config.http2 ?? false,
  }
  try {
    createSecureContext(contextOptions(material))
  } catch (cause) {
    throw invalid(
      `"tls" does not fit together: ${messageOf(cause)}; wanted a certificate ("${config.cert}") and its key ("${config.key}"), in PEM`,
      cause,
    )
  }
  return material
}

/** What Node makes a secure context of. */
export function contextOptions({ cert, key, ca, minVersion }: TlsMaterial): SecureContextOptions {
  return { cert, key, minVersion, ...(ca && { ca }) }
}

function invalid(message: string, cause: unknown): GatewayError {
  return new GatewayError('ERR_CONFIG_INVALID', `the gateway file: ${message}`, { cause })
}
