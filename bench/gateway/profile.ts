import { type Profiler, Session } from 'node:inspector/promises'

/** A function and its share of the time that was sampled, what it called left out. */
export interface ProfileEntry {
  readonly what: string
  readonly share: number
}

const TOP = 25
/** Where the profiler's own start is counted. */
const STARTING = 'post node:inspector'

/** Samples this process for so many seconds, as `node --cpu-prof` does. @returns where most of its own time went; idle time counts as none */
export async function profileFor(seconds: number): Promise<ProfileEntry[]> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return topOf(profile)
}

function topOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): ProfileEntry[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const times = new Map<string, number>()
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? ''
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0))
  }
  for (const name of names.values()) if (name === '(idle)' || name.startsWith(STARTING)) times.delete(name)
  const all = [...times.values()].reduce((sum, time) => sum + time, 0)
  const sorted = [...times].sort(([, a], [, b]) => b - a)
  return sorted.slice(0, TOP).map(([what, time]) => ({ what, share: time / all }))
}

function nameOf({ functionName, url, lineNumber }: Profiler.Profile['nodes'][number]['callFrame']): string {
  const name = functionName || '(anonymous)'
  const file = url.split('/').slice(-2).join('/')
  return file ? `${name} ${file}:${lineNumber + 1}` : name
}
