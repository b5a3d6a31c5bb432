import { settingsOfContestant, tell } from '../contestant.ts'
import { pin } from './pin.ts'
import { profileFor } from './profile.ts'
import type { GatewaySubject, ServeOptions, Serving } from './subject.ts'

// One proxy in a process of its own: npm run bench -- gateway and corpus start it.

export interface GatewayTask extends ServeOptions {
  readonly subject: string
  /** The core it may use; left out, any. */
  readonly core?: number
  /** On the first message a profile of so many seconds is taken and told. */
  readonly profileSeconds?: number
}

/** What the process says when it listens. */
export interface Listening {
  readonly port: number
  readonly pid: number
  readonly headers: Readonly<Record<string, string>>
}

/** How many route changes a second `npm run bench -- gateway --reloads` makes. */
export const CHANGES_PER_SECOND = 50

const subjects: Readonly<Record<string, () => Promise<GatewaySubject>>> = {
  'node-http': async () => (await import('./node-http.ts')).nodeHttp,
  banyan: async () => (await import('./banyan.ts')).banyan,
  'banyan-full': async () => (await import('./banyan.ts')).banyanFull,
  'fastify-http-proxy': async () => (await import('./fastify-http-proxy.ts')).fastifyHttpProxy,
  'fast-gateway': async () => (await import('./fast-gateway.ts')).fastGateway,
  'http-proxy': async () => (await import('./http-proxy.ts')).httpProxy,
}

const task = settingsOfContestant<GatewayTask>()
const load = Object.hasOwn(subjects, task.subject) ? subjects[task.subject] : undefined
if (!load) throw new RangeError(`there is no subject "${task.subject}"`)
if (task.core !== undefined) pin(process.pid, task.core)
const serving = await (await load()).serve(task)
process.on('message', onMessage(serving))
await tell('listening', { port: serving.port, pid: process.pid, headers: serving.headers ?? {} } satisfies Listening)

/** A message takes a profile, or begins the changes of routes and ends them. */
function onMessage({ changeRoute }: Serving): () => void {
  const { profileSeconds } = task
  if (profileSeconds !== undefined) return () => void profileFor(profileSeconds).then((entries) => tell('profile', entries))
  let changing: NodeJS.Timeout | undefined
  return () => {
    if (!changeRoute) throw new Error(`${task.subject} changes no routes`)
    if (changing) changing = void clearInterval(changing)
    else changing = setInterval(() => void changeRoute(), 1_000 / CHANGES_PER_SECOND)
    void tell('changing', changing !== undefined)
  }
}
