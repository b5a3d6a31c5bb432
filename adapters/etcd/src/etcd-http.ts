import { messageOf, type World } from '@banyan/core'
import { Agent, type Dispatcher, request } from 'undici'
import { deadline } from './deadline.ts'
import { EtcdError, refused, unavailable } from './etcd-error.ts'
import { fieldOf, textOf } from './fields.ts'

/** Calls of etcd's HTTP gateway: JSON over POST, one answer or a stream of them. */
export interface EtcdHttp {
  /**
   * @throws {EtcdError} `ERR_REGISTRY_UNAVAILABLE` when there is no answer in time, `ERR_REGISTRY_REFUSED` when it is no
   */
  call(path: string, body: object, options: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<unknown>
  /** The messages of a stream as they come; ends when etcd ends it, throws when it breaks off or `signal` aborts. */
  stream(path: string, body: object, signal: AbortSignal): AsyncIterable<unknown>
  close(): Promise<void>
}

/** Where etcd is and who asks. */
export interface EtcdHttpOptions {
  urls: readonly string[]
  tls: EtcdTls | undefined
  auth: EtcdAuth | undefined
  world: World
}

/** How to trust the server, and be trusted by it. PEM, as text. */
export interface EtcdTls {
  /** The authority that signed the server's certificate. Default: those that Node trusts. */
  readonly ca?: string
  /** This client's certificate and its key, where etcd wants one (`--client-cert-auth`). */
  readonly cert?: string
  readonly key?: string
  /** The name in the server's certificate, when it is not that in the URL. */
  readonly serverName?: string
}

/** A user of etcd's own (`etcdctl user add`). */
export interface EtcdAuth {
  readonly user: string
  readonly password: string
}

const connectTimeoutMs = 5_000
const authTimeoutMs = 5_000

/** @throws {TypeError} for a URL that is not http or https, or for none */
export function etcdHttp(options: EtcdHttpOptions): EtcdHttp {
  const { auth, world } = options
  const urls = options.urls.map(baseOf)
  if (urls.length === 0) throw new TypeError('cannot use etcd: "url" has no address, wanted one or more')
  const dispatcher = agentOf(options.tls)
  let current = 0
  let token: string | undefined

  const urlOf = (member: number) => urls[member] ?? ''
  /** The next question goes to the next member, unless another one has moved on already. */
  function moveOn(from: number): void {
    if (current === from) current = (from + 1) % urls.length
  }

  async function open(member: number, path: string, body: object, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    try {
      const response = await request(`${urlOf(member)}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: token }) },
        body: JSON.stringify(body),
        signal,
        dispatcher,
      })
      return response.statusCode < 400 ? response : await refuse(member, path, response)
    } catch (cause) {
      if (cause instanceof EtcdError) throw cause
      if (!signal.aborted) moveOn(member)
      throw unavailable(urlOf(member), messageOf(cause), cause)
    }
  }

  async function refuse(member: number, path: string, { statusCode, body }: Dispatcher.ResponseData): Promise<never> {
    const said = errorText(await body.text())
    // A token is good for five minutes, or until etcd starts anew; one that is signed until a user or a role is changed.
    const isOver = statusCode === 401 || said.includes('revision of auth store is old')
    if (isOver) token = undefined
    if (statusCode >= 500) moveOn(member)
    if (isOver || statusCode >= 500) throw unavailable(urlOf(member), `it answered ${statusCode}: ${said}`)
    throw new EtcdError('ERR_REGISTRY_REFUSED', `etcd refused "${path}" with ${statusCode}: ${said}`, { status: statusCode })
  }

  async function signIn(path: string, signal: AbortSignal): Promise<void> {
    if (!auth || token !== undefined || path === authPath) return
    const answer = await call(authPath, { name: auth.user, password: auth.password }, { timeoutMs: authTimeoutMs, signal })
    const given = textOf(answer, 'token')
    if (given === '') throw refused(`sign in as "${auth.user}"`, 'no token')
    token = given
  }

  async function call(path: string, body: object, limits: { timeoutMs: number; signal?: AbortSignal | undefined }): Promise<unknown> {
    const limit = deadline(world, limits.timeoutMs, limits.signal)
    let member = current
    try {
      await signIn(path, limit.signal)
      member = current
      const response = await open(member, path, body, limit.signal)
      return parse(urlOf(member), await response.body.text())
    } catch (cause) {
      if (!limit.passed()) throw cause instanceof EtcdError ? cause : unavailable(urlOf(member), messageOf(cause), cause)
      moveOn(member)
      throw unavailable(urlOf(member), `no answer within ${limits.timeoutMs} ms`, cause)
    } finally {
      limit.end()
    }
  }

  return {
    call,
    async *stream(path, body, signal) {
      await signIn(path, signal)
      const member = current
      const response = await open(member, path, body, signal)
      let rest = ''
      try {
        for await (const chunk of response.body.setEncoding('utf8')) {
          const lines = `${rest}${chunk}`.split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) if (line !== '') yield parse(urlOf(member), line)
        }
      } catch (cause) {
        throw cause instanceof EtcdError ? cause : unavailable(urlOf(member), messageOf(cause), cause)
      }
    },
    close: () => dispatcher.destroy(),
  }
}

const authPath = '/v3/auth/authenticate'

function agentOf(tls: EtcdTls | undefined): Agent {
  const { serverName, ...pem } = tls ?? {}
  const connect = { timeout: connectTimeoutMs, ...pem, ...(serverName === undefined ? {} : { servername: serverName }) }
  // Watches say nothing for as long as nothing happens; each call has its own deadline instead.
  return new Agent({ headersTimeout: 0, bodyTimeout: 0, connect })
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return url.replace(/\/+$/, '')
  throw new TypeError(`cannot use etcd at "${url}": wanted an http or https address, as in "http://127.0.0.1:2379"`)
}

function parse(url: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw unavailable(url, `wanted JSON as etcd answers, got ${text.slice(0, 200)}`, cause)
  }
}

function errorText(text: string): string {
  try {
    const said: unknown = JSON.parse(text)
    return textOf(said, 'message') || textOf(said, 'error') || String(fieldOf(said, 'code') ?? text.slice(0, 200))
  } catch {
    // Not JSON: a proxy's page, most likely. As it is.
    return text.slice(0, 200)
  }
}
