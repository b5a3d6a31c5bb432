import type { Instance } from '@banyan/core'
import { fieldOf, listOf, textOf } from './fields.ts'

/** A key and what stands at it, as etcd's JSON has them. */
export interface StoredInstance {
  /** As text; unique. */
  readonly key: string
  readonly instance: Instance
  /** It is being taken out on purpose: its key is gone in a moment. */
  readonly leaving: boolean
}

/** Where the instances of a service are: all keys that begin so. */
export function prefixOf(root: string, service: string): string {
  return `${root}/${encodeURIComponent(service)}/`
}

/** Where an instance is. */
export function keyOf(root: string, { service, id }: Instance): string {
  return `${prefixOf(root, service)}${encodeURIComponent(id)}`
}

/** The range of all keys that begin with `prefix`, as etcd takes it: to the prefix with its last byte one higher. */
export function rangeOf(prefix: string): { key: string; range_end: string } {
  const key = Buffer.from(prefix)
  const end = Buffer.from(key)
  // Every prefix ends with "/", so its last byte is never the highest.
  end[end.length - 1] = (end[end.length - 1] ?? 0) + 1
  return { key: key.toString('base64'), range_end: end.toString('base64') }
}

/** What is put at an instance's key. */
export function storedValue(instance: Instance, leaving: boolean): string {
  return Buffer.from(JSON.stringify({ ...instance, ...(leaving ? { leaving } : {}) })).toString('base64')
}

/** A key of etcd's JSON as text. */
export function keyText(kv: unknown): string {
  return Buffer.from(textOf(kv, 'key'), 'base64').toString('utf8')
}

/** Reads a key and its value; `undefined` for one that somebody else put there. */
export function readStored(kv: unknown): StoredInstance | undefined {
  const value = parse(Buffer.from(textOf(kv, 'value'), 'base64').toString('utf8'))
  const [id, service, host] = [textOf(value, 'id'), textOf(value, 'service'), textOf(value, 'host')]
  const port = fieldOf(value, 'port')
  if (id === '' || service === '' || host === '' || typeof port !== 'number') return undefined
  const [weight, zone] = [fieldOf(value, 'weight'), textOf(value, 'zone')]
  const instance: Instance = {
    id,
    service,
    host,
    port,
    tags: listOf(value, 'tags').filter((tag) => typeof tag === 'string'),
    meta: textsOf(fieldOf(value, 'meta')),
    weight: typeof weight === 'number' && weight >= 1 ? weight : 1,
    ...(zone === '' ? {} : { zone }),
  }
  return { key: keyText(kv), instance, leaving: fieldOf(value, 'leaving') === true }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Somebody else's value: the caller leaves it out, and says so.
    return undefined
  }
}

function textsOf(value: unknown): Record<string, string> {
  const entries = typeof value === 'object' && value !== null ? Object.entries(value) : []
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}
