import { Pool } from 'undici'
import { settingsOfContestant, tell } from '../contestant.ts'

// Registrations as fast as they are taken: npm run bench -- registry starts it.

export interface RegistrationsTask {
  readonly url: string
  readonly inFlight: number
  /** How many different instances there are; each registers again when its turn comes. */
  readonly instances: number
  readonly seconds: number
  /** `register`, or only a heartbeat of what is registered. */
  readonly what: 'register' | 'heartbeat'
}

export interface RegistrationsResult {
  readonly perSecond: number
}

let next = 0
const { url, inFlight, instances, seconds, what } = settingsOfContestant<RegistrationsTask>()
const pool = new Pool(url, { connections: inFlight, pipelining: 1 })
// Known before: what is measured has as many instances from its first moment as at its end.
for (let i = 0; i < instances; i += 1) await register(i)
let done = 0
const until = performance.now() + seconds * 1_000
const started = performance.now()
await Promise.all(Array.from({ length: inFlight }, worker))
await tell('result', { perSecond: (done / (performance.now() - started)) * 1_000 } satisfies RegistrationsResult)
process.exit(0)

async function worker(): Promise<void> {
  while (performance.now() < until) {
    await (what === 'register' ? register : heartbeat)(next++ % instances)
    done += 1
  }
}

function register(i: number): Promise<void> {
  const check = { TTL: '10m', Status: 'passing' }
  // Each says something new: one that says the same again is only a heartbeat.
  const meta = { turn: String(next) }
  const body = { ID: `load-${i}`, Name: `service-${i % 50}`, Address: '10.0.0.1', Port: 1_000 + i, Meta: meta, Check: check }
  return put('/v1/agent/service/register', JSON.stringify(body))
}

function heartbeat(i: number): Promise<void> {
  return put(`/v1/agent/check/pass/service:load-${i}`, null)
}

async function put(path: string, body: string | null): Promise<void> {
  const response = await pool.request({ method: 'PUT', path, body })
  const text = await response.body.text()
  if (response.statusCode !== 200) throw new Error(`the registry answered ${response.statusCode}: ${text}`)
}
