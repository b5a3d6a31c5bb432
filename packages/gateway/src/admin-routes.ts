import { describeDiff, isEmptyDiff } from './config-diff.ts'
import { GatewayError } from './errors.ts'
import type { ManagedFile } from './managed-file.ts'

/** What the admin port shows and changes. */
export interface AdminSubject {
  status(): GatewayStatus | Promise<GatewayStatus>
  /** Metrics as Prometheus text. */
  readonly metrics?: (() => Promise<string>) | undefined
  /** The gateway file. Left out: the configuration is no file, and is not shown or changed here. */
  readonly managed?: (() => ManagedFile | undefined) | undefined
  /** Replaces one process after the other. Left out: there is but one. */
  readonly restart?: (() => Promise<void>) | undefined
}

/** How a gateway is doing. */
export interface GatewayStatus {
  readonly isReady: boolean
  /** For people: what keeps it from being ready. */
  readonly detail: string
  readonly routes: number
  readonly upstreams: readonly object[]
  /** Where there are several. */
  readonly processes?: readonly object[]
}

/** A request to the admin port. */
export interface AdminRequest {
  readonly query: URLSearchParams
  /** Its body as text, limited. */
  readonly body: () => Promise<string>
}

export interface AdminAnswer {
  readonly status: number
  /** JSON, or with a `type` text. */
  readonly body: object | string
  readonly type?: string
  /** Of a 405: the methods that are taken. */
  readonly allow?: string
}

/** One path of the admin port. */
export interface AdminRoute {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** For people, in the OpenAPI document. */
  readonly summary: string
  /** Whether it needs no token. */
  readonly isOpen?: boolean
  /** Whether it takes a gateway file as its body. */
  readonly takesFile?: boolean
  /** Whether it takes `?id=`. */
  readonly takesId?: boolean
  answer(subject: AdminSubject, request: AdminRequest): Promise<AdminAnswer>
}

/** All that the admin port answers, but for its own description. */
export const adminRoutes: readonly AdminRoute[] = [
  {
    ...{ method: 'GET', path: '/health/live', isOpen: true, summary: 'whether the process lives' },
    answer: async () => ok({ status: 'alive' }),
  },
  {
    ...{ method: 'GET', path: '/health/ready', isOpen: true, summary: 'whether requests are taken; 503 when not' },
    async answer(subject) {
      const { isReady, ...rest } = await subject.status()
      return { status: isReady ? 200 : 503, body: { status: isReady ? 'ready' : 'not_ready', ...rest } }
    },
  },
  {
    ...{ method: 'GET', path: '/metrics', isOpen: true, summary: 'metrics as Prometheus text' },
    async answer({ metrics }) {
      if (!metrics) throw new GatewayError('ERR_ADMIN_REFUSED', 'this gateway measures nothing', { status: 404 })
      return { status: 200, body: await metrics(), type: 'text/plain; version=0.0.4; charset=utf-8' }
    },
  },
  {
    ...{ method: 'GET', path: '/config', summary: 'the gateway file in force, as it was written' },
    answer: async (subject) => ({ status: 200, body: fileOf(subject).running().text, type: 'application/yaml; charset=utf-8' }),
  },
  {
    ...{ method: 'GET', path: '/routes', summary: 'the routes in force' },
    answer: async (subject) => ok({ routes: fileOf(subject).running().config.routes }),
  },
  {
    ...{ method: 'GET', path: '/upstreams', summary: 'the services behind, their instances and breakers' },
    answer: async (subject) => ok({ upstreams: (await subject.status()).upstreams }),
  },
  {
    ...{ method: 'POST', path: '/check', takesFile: true, summary: 'looks a file over; nothing changes' },
    async answer(subject, { body }) {
      const { routes } = fileOf(subject).check(await body())
      return ok({ good: true, routes: routes.length })
    },
  },
  {
    ...{
      method: 'POST',
      path: '/diff',
      takesFile: true,
      summary: 'what a file (without one: the file on disk) would change; nothing changes',
    },
    answer: async (subject, { body }) => changes(await fileOf(subject).diff((await body()) || undefined)),
  },
  {
    ...{ method: 'POST', path: '/reload', takesFile: true, summary: 'takes the file on disk; with a body, replaces it first' },
    answer: async (subject, { body }) => changes(await fileOf(subject).reload((await body()) || undefined)),
  },
  {
    ...{ method: 'GET', path: '/history', summary: 'the last good configurations, newest first' },
    answer: async (subject) => ok({ history: await fileOf(subject).history() }),
  },
  {
    ...{
      method: 'POST',
      path: '/rollback',
      takesId: true,
      summary: 'replaces the file by the configuration ?id= of the history and takes it',
    },
    answer: async (subject, { query }) => changes(await fileOf(subject).rollback(idOf(query))),
  },
  {
    ...{ method: 'POST', path: '/restart', summary: 'replaces one process after the other, failing no request' },
    async answer({ restart }) {
      if (!restart) throw refused(409, 'there is but one process; start the gateway with --processes to have it replaced')
      await restart()
      return ok({ restarted: true })
    },
  },
]

function ok(body: object): AdminAnswer {
  return { status: 200, body }
}

function changes(diff: Awaited<ReturnType<ManagedFile['diff']>>): AdminAnswer {
  return ok({ differs: !isEmptyDiff(diff), text: describeDiff(diff), ...diff })
}

function fileOf({ managed }: AdminSubject): ManagedFile {
  const file = managed?.()
  if (file) return file
  throw refused(409, 'the configuration of this gateway is no file; it is not shown or changed here')
}

function idOf(query: URLSearchParams): number {
  const text = query.get('id') ?? ''
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw refused(400, `"id" is ${JSON.stringify(text)}, wanted a number of the history, as in ?id=3`)
}

function refused(status: number, detail: string): GatewayError {
  return new GatewayError('ERR_ADMIN_REFUSED', detail, { status })
}
