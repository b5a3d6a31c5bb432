import { readdirSync, readFileSync } from 'node:fs'

/** Of Linux; what `getconf CLK_TCK` says on every machine it runs on today. */
const TICKS_PER_SECOND = 100

/** A process and all that it started, they too. */
export function withChildren(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(withChildren)]
}

/** Processor time, seconds. */
export interface ProcessorTime {
  /** In the program itself and its libraries. */
  readonly user: number
  /** In the kernel, for it. */
  readonly system: number
}

/** What a process and those it started have spent so far, all threads. */
export function processorTime(pid: number): ProcessorTime {
  const spent = withChildren(pid).map((each) => {
    // Behind the name in brackets, which may have blanks; proc(5), fields 14 and 15.
    const fields = read(`/proc/${each}/stat`)
      .replace(/^.*\) /s, '')
      .split(' ')
    return { user: Number(fields[11] ?? 0), system: Number(fields[12] ?? 0) }
  })
  const sum = (kind: keyof ProcessorTime) => spent.reduce((all, each) => all + each[kind], 0) / TICKS_PER_SECOND
  return { user: sum('user'), system: sum('system') }
}

/** Memory in use by a process and those it started. Pages that they share are counted for each. */
export function residentBytes(pid: number): number {
  const sizes = withChildren(pid).map((each) => Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${each}/status`))?.[1] ?? 0))
  return sizes.reduce((sum, each) => sum + each, 0) * 1_024
}

function childrenOf(pid: number): number[] {
  return threadsOf(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`)
      .split(' ')
      .filter((each) => each !== '')
      .map(Number),
  )
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isGone(error)) return ''
    throw error
  }
}

/** A process may end between two looks. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')
}
