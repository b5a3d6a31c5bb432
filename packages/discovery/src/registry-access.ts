import { createHash } from 'node:crypto'
import { DiscoveryError } from './errors.ts'
import { badRequest, type Fields, fieldsOf } from './fields.ts'
import type { RegistryState } from './registry-index.ts'

/** Who may do what, as a token file says it. */
export interface AccessRules {
  readonly tokens: readonly TokenRule[]
  /** What those without a token may do. Left out: nothing. */
  readonly anonymous?: Permissions
}

/** A token: its name stands in messages, its secret is what clients send. */
export interface TokenRule extends Permissions {
  readonly name: string
  readonly secret: string
}

/** What somebody may do. */
export interface Permissions {
  /** By the beginning of a service's name, the longest that fits counts: `{ "orders": "write", "": "read" }`. */
  readonly services?: Readonly<Record<string, ServicePolicy>>
  /** `write`: maintenance and checks of the node, and the catalog of other nodes. Default `read`. */
  readonly node?: 'read' | 'write'
}

/** `write` includes `read`. */
export type ServicePolicy = 'deny' | 'read' | 'write'

/** What the sender of one request may do. */
export interface Access {
  readonly name: string
  mayService(service: string, what: 'read' | 'write'): boolean
  readonly mayWriteNode: boolean
  /** There is no service it may not read. */
  readonly readsAll: boolean
}

/** May do everything: there are no tokens. */
export const fullAccess: Access = { name: 'everybody', mayService: () => true, mayWriteNode: true, readsAll: true }

/**
 * Reads a token file's JSON.
 *
 * @throws {DiscoveryError} `ERR_BAD_REQUEST`, naming the field, what it is and what is wanted
 */
export function readAccessRules(json: unknown): AccessRules {
  const fields = fieldsOf(json)
  const tokens = fields.objects('tokens').map((token) => {
    const read = { name: token.text('name', ''), secret: token.text('secret', '') }
    for (const [name, value] of Object.entries(read)) if (value === '') throw badRequest(`"${token.pathOf(name)}" is missing`)
    return { ...read, ...readPermissions(token) }
  })
  for (const what of ['name', 'secret'] as const) {
    const twice = tokens.find((one, index) => tokens.findIndex((other) => other[what] === one[what]) !== index)
    if (twice) throw badRequest(`"tokens" has the ${what} of "${twice.name}" twice, wanted a different one for each`)
  }
  const anonymous = fields.object('anonymous')
  const rules = { tokens, ...(anonymous ? { anonymous: readPermissions(anonymous) } : {}) }
  fields.end()
  return rules
}

function readPermissions(fields: Fields): Permissions {
  const policies = Object.entries(fields.textMap('services'))
  const services = Object.fromEntries(
    policies.map(([prefix, policy]) => [prefix, oneOf(`${fields.pathOf('services')}.${prefix}`, policy, ['deny', 'read', 'write'])]),
  )
  const node = oneOf(fields.pathOf('node'), fields.text('node', 'read'), ['read', 'write'])
  fields.end()
  return { services, node }
}

function oneOf<const Word extends string>(path: string, value: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === value)
  if (found) return found
  throw badRequest(`"${path}" is "${value}", wanted ${words.join(', ')}`)
}

/** Finds what the sender of a token may do; `undefined` for a token that is none. Without rules everybody may do everything. */
export function accessOf(rules: AccessRules | undefined): (token: string) => Access | undefined {
  if (!rules) return () => fullAccess
  // By digest, so that looking one up takes as long for a secret that is nearly right as for one that is not.
  const known = new Map(rules.tokens.map((token) => [digest(token.secret), toAccess(token.name, token)]))
  const anonymous = rules.anonymous && toAccess('anonymous', rules.anonymous)
  return (token) => (token === '' ? anonymous : known.get(digest(token)))
}

/** @throws {DiscoveryError} `ERR_FORBIDDEN` */
export function assertMay(access: Access, service: string, what: 'read' | 'write'): void {
  if (access.mayService(service, what)) return
  throw forbidden(`the token "${access.name}" may not ${what} the service "${service}"`)
}

/** @throws {DiscoveryError} `ERR_FORBIDDEN` */
export function assertMayWriteNode(access: Access): void {
  if (!access.mayWriteNode) throw forbidden(`the token "${access.name}" may not write nodes`)
}

/** An error that says who may not do what. */
export function forbidden(detail: string): DiscoveryError {
  return new DiscoveryError('ERR_FORBIDDEN', detail, { status: 403 })
}

/** What of the registry its reader may see. */
export function visibleTo(access: Access, state: RegistryState): RegistryState {
  if (access.readsAll) return state
  return { ...state, entries: new Map([...state.entries].filter(([, { service }]) => access.mayService(service.name, 'read'))) }
}

function toAccess(name: string, { services = {}, node = 'read' }: Permissions): Access {
  // Longest first: the first that fits is the one that counts.
  const prefixes = Object.entries(services).sort(([one], [two]) => two.length - one.length)
  const policyOf = (service: string) => prefixes.find(([prefix]) => service.startsWith(prefix))?.[1] ?? 'deny'
  return {
    name,
    mayService(service, what) {
      const policy = policyOf(service)
      return policy === 'write' || policy === what
    },
    mayWriteNode: node === 'write',
    readsAll: services[''] !== undefined && Object.values(services).every((policy) => policy !== 'deny'),
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
