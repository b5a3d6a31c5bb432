import { writeSync } from 'node:fs'

/** The environment variable that tells a process where to die: `after-publish:3`, at the third time it gets there. */
export const CRASH_AT = 'BANYAN_CRASH_AT'

/** The descriptor on which a process tells its harness that it stands at the point. */
export const CRASH_DESCRIPTOR = 3

/** What a process says there when it works. */
export const CRASH_READY = 'ready'

/** How long a process stands at its point before it takes its harness for dead, milliseconds. */
const ALONE_MS = 30_000

const passed = new Map<string, number>()

/**
 * A place in a program where the crash harness may kill its process. Does nothing, but where and when {@link CRASH_AT} says:
 * then the process says so and stands still until it is killed, so that not one more instruction runs.
 */
export function crashPoint(name: string): void {
  const [wanted, hit] = (process.env[CRASH_AT] ?? '').split(':')
  if (wanted !== name) return
  const times = (passed.get(name) ?? 0) + 1
  passed.set(name, times)
  if (times !== Number(hit)) return
  writeSync(CRASH_DESCRIPTOR, `${name}\n`)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ALONE_MS)
  // Nobody came: the harness is gone.
  process.kill(process.pid, 'SIGKILL')
}

/**
 * Tells the harness that the process works from now on, and ends it when the harness is gone, however that went: nothing is
 * left behind on the machine.
 */
export function underHarness(): void {
  process.on('disconnect', () => process.exit(0))
  if (process.env[CRASH_AT] !== undefined) writeSync(CRASH_DESCRIPTOR, `${CRASH_READY}\n`)
}
