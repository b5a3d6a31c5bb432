import { list, type MapShape, text } from '../config-shape.ts'
import { type HeaderList, headerOf, isHopByHop, withHeader, withoutHeaders } from '../headers.ts'
import { isToken } from '../http-grammar.ts'
import type { Plugin } from './plugin.ts'

/**
 * Changes of headers, in this order: those removed go, then those of `rename`, then those set, then those added where they are not there, then
 * those appended.
 */
export interface HeaderChanges {
  /** Names. */
  remove?: readonly string[]
  /** `old: new`. */
  rename?: Readonly<Record<string, string>>
  /** In place of what is there. */
  set?: Readonly<Record<string, string>>
  /** Where it is not there. */
  add?: Readonly<Record<string, string>>
  /** Besides what is there. */
  append?: Readonly<Record<string, string>>
}

/** Kong's names: what a request's headers become on the way to the service, a response's on the way to the client. */
export type TransformerConfig = HeaderChanges

/** What says how a message is framed, where it goes or who sent it is not for a file to change. */
const FIXED = /^(?:content-length|host|x-forwarded-.*|forwarded|x-auth-.*|x-request-id|via|x-timeout-ms)$/

const headerName = text('the name of a header that may be changed: none about framing, the connection, forwarding or identity', (name) => {
  const lowerCase = name.toLowerCase()
  return isToken(name) && !isHopByHop(lowerCase) && !FIXED.test(lowerCase)
})
const headerValue = text('the value of a header, without line breaks', (value) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value))

const shape: MapShape<keyof HeaderChanges> = {
  kind: 'map',
  keys: {
    remove: { shape: list(headerName, 'header', 1), about: 'headers that go' },
    rename: { shape: { kind: 'dictionary', of: headerName, item: 'header', key: headerName }, about: 'headers that get another name' },
    set: { shape: { kind: 'dictionary', of: headerValue, item: 'header', key: headerName }, about: 'headers in place of what is there' },
    add: { shape: { kind: 'dictionary', of: headerValue, item: 'header', key: headerName }, about: 'headers where they are not there' },
    append: { shape: { kind: 'dictionary', of: headerValue, item: 'header', key: headerName }, about: 'headers besides what is there' },
  },
  rules: [
    (value) =>
      Object.keys(value).length === 0 ? { message: 'changes nothing; wanted "remove", "rename", "set", "add" or "append"' } : undefined,
  ],
}

/** Changes the headers of requests. */
export const requestTransformer: Plugin<TransformerConfig> = {
  config: shape,
  shared: true,
  create: (config) => (next) => (request) => next({ ...request, headers: changed(request.headers, config) }),
}

/** Changes the headers of responses, also of those that plugins inside of it gave. */
export const responseTransformer: Plugin<TransformerConfig> = {
  config: shape,
  shared: true,
  create: (config) => (next) => async (request) => {
    const response = await next(request)
    return { ...response, headers: changed(response.headers, config) }
  },
}

function changed(headers: HeaderList, { remove = [], rename = {}, set = {}, add = {}, append = {} }: HeaderChanges): HeaderList {
  const gone = new Set(remove.map((name) => name.toLowerCase()))
  const renamed = new Map(Object.entries(rename).map(([from, to]) => [from.toLowerCase(), to]))
  let result: string[] = withoutHeaders(headers, (name) => gone.has(name))
  if (renamed.size > 0) result = result.map((each, index) => (index % 2 === 0 ? (renamed.get(each.toLowerCase()) ?? each) : each))
  for (const [name, value] of Object.entries(set)) result = withHeader(result, name, value)
  for (const [name, value] of Object.entries(add)) if (headerOf(result, name.toLowerCase()) === undefined) result.push(name, value)
  for (const [name, value] of Object.entries(append)) result.push(name, value)
  return result
}
