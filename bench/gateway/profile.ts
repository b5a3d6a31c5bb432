import { type Profiler, Session } from 'node:inspector/promises'

/** A function or a file, and its share of the time that was sampled, what it called left out. */
export interface ProfileEntry {
  readonly what: string
  readonly share: number
}

/** Where a process spent its time, most first. */
export interface Profile {
  readonly functions: readonly ProfileEntry[]
  readonly files: readonly ProfileEntry[]
}

const TOP = 40
/** Where the profiler's own start is counted. */
const STARTING = 'post node:inspector'

/** Samples this process for so many seconds, as `node --cpu-prof` does. @returns where most of its own time went; idle time counts as none */
export async function profileFor(seconds: number): Promise<Profile> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return { functions: topOf(profile, nameOf), files: topOf(profile, fileOf) }
}

type Frame = Profiler.Profile['nodes'][number]['callFrame']

function topOf({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile, labelOf: (frame: Frame) => string): ProfileEntry[] {
  const idle = new Set(nodes.filter(({ callFrame }) => isIdle(callFrame)).map(({ id }) => id))
  const labels = new Map(nodes.map(({ id, callFrame }) => [id, labelOf(callFrame)]))
  const times = new Map<string, number>()
  let all = 0
  for (const [index, id] of samples.entries()) {
    if (idle.has(id)) continue
    const label = labels.get(id) ?? ''
    const time = timeDeltas[index] ?? 0
    times.set(label, (times.get(label) ?? 0) + time)
    all += time
  }
  const sorted = [...times].sort(([, a], [, b]) => b - a)
  return sorted.slice(0, TOP).map(([what, time]) => ({ what, share: time / all }))
}

function isIdle(frame: Frame): boolean {
  return frame.functionName === '(idle)' || nameOf(frame).startsWith(STARTING)
}

function nameOf({ functionName, url, lineNumber }: Frame): string {
  const name = functionName || '(anonymous)'
  const file = shortOf(url)
  return file ? `${name} ${file}:${lineNumber + 1}` : name
}

/** Of what is not JavaScript, the function: it has no file. */
function fileOf(frame: Frame): string {
  return shortOf(frame.url) || nameOf(frame)
}

function shortOf(url: string): string {
  return url.split('/').slice(-2).join('/')
}
