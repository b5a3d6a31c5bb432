import type { ClientCertificate } from '../client-certificate.ts'
import { list, text } from '../config-shape.ts'
import { problem } from '../problem.ts'
import { identified, identityHeaders } from './identity.ts'
import type { Plugin } from './plugin.ts'

/** Whose certificates are accepted, of those that the CA in `tls` has signed. */
export interface MtlsAuthConfig {
  /** Names that a certificate is for (`orders.example`, `spiffe://shop/orders`), or `sha256:` and its fingerprint. Default: all. */
  allow?: readonly string[]
}

/** The codes of the plugin's problems. */
export type MtlsProblemCode = 'ERR_CERTIFICATE_MISSING' | 'ERR_CERTIFICATE_REFUSED'

/**
 * Lets only clients with a verified certificate through, and tells the service whose it is: the first name it is for, else its subject.
 *
 * @see RFC 8705, section 2
 */
export const mtlsAuth: Plugin<MtlsAuthConfig> = {
  config: {
    kind: 'map',
    keys: {
      allow: {
        shape: list(text('a name such as "spiffe://shop/orders", or "sha256:" and a fingerprint', isAllowed), 'name', 1),
        about: 'whose certificates are accepted',
      },
    },
  },
  shared: true,
  create({ allow }) {
    const allowed = allow && new Set(allow.map((one) => (one.startsWith('sha256:') ? fingerprintOf(one.slice(7)) : one)))
    return (next) => async (request) => {
      const { clientCertificate: certificate } = request
      if (!certificate) return problem({ status: 401, code: 'ERR_CERTIFICATE_MISSING', detail: 'this needs a client certificate' })
      if (allowed && !isAmong(certificate, allowed))
        return problem({ status: 403, code: 'ERR_CERTIFICATE_REFUSED', detail: 'the client certificate is not one of those accepted here' })
      const subject = certificate.sans[0] ?? certificate.subject
      return next(identified(request, subject, identityHeaders(subject, [])))
    }
  },
}

function isAmong({ sans, fingerprint256 }: ClientCertificate, allowed: ReadonlySet<string>): boolean {
  return sans.some((name) => allowed.has(name)) || allowed.has(fingerprintOf(fingerprint256))
}

function fingerprintOf(text: string): string {
  return `sha256:${text.replaceAll(':', '').toLowerCase()}`
}

function isAllowed(value: string): boolean {
  return value.startsWith('sha256:') ? /^[0-9a-f]{64}$/.test(fingerprintOf(value.slice(7)).slice(7)) : /^[!-~]+$/.test(value)
}
