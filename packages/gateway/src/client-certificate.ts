import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** The certificate of a client, as far as it was verified. */
export interface ClientCertificate {
  /** The common name, empty where there is none. */
  readonly subject: string
  /** SHA-256 of the certificate, as in `AB:CD:...`. */
  readonly fingerprint256: string
  /** The names it is for: `orders.example`, `spiffe://shop/orders`. */
  readonly sans: readonly string[]
}

const known = new WeakMap<Socket, ClientCertificate>()

/** The verified certificate of the client behind a connection; `undefined` where there is none. */
export function clientCertificateOf(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const found = known.get(socket)
  if (found) return found
  const { subject, subjectaltname = '', fingerprint256 } = socket.getPeerCertificate()
  if (!fingerprint256) return undefined
  const name = subject?.CN
  const made = { subject: typeof name === 'string' ? name : '', fingerprint256, sans: sansOf(subjectaltname) }
  known.set(socket, made)
  return made
}

/** Of `DNS:a.example, URI:spiffe://shop/orders`. Names that need quotes, which Node puts around what could be read in two ways, are left out. */
export function sansOf(text: string): string[] {
  if (text.includes('"')) return []
  return text.split(', ').flatMap((one) => /^(?:DNS|URI):(.+)$/.exec(one)?.[1] ?? [])
}
