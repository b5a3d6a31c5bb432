import { readSync, writeSync } from 'node:fs'
import { codeOf } from '@banyan/core'

/** The environment variable that tells a process where to stand still: `after-publish:3,before-commit:1`, at which time it gets there. */
export const CRASH_AT = 'BANYAN_CRASH_AT'

/** The descriptor on which a process tells its harness that it stands at a point, and hears that it may go on. */
export const CRASH_DESCRIPTOR = 3

/** What a process says there when it works. */
export const CRASH_READY = 'ready'

const passed = new Map<string, number>()
let armed: ReadonlySet<string> | undefined

/**
 * A place in a program where the crash harness may strike. Does nothing, but where and when {@link CRASH_AT} says: then the
 * process says so and stands still, so that not one more instruction runs, until it is killed or told to go on.
 */
export function crashPoint(name: string): void {
  armed ??= new Set((process.env[CRASH_AT] ?? '').split(',').filter((one) => one !== ''))
  if (armed.size === 0) return
  const times = (passed.get(name) ?? 0) + 1
  passed.set(name, times)
  if (!armed.has(`${name}:${times}`)) return
  tell(`${name}:${times}`)
  // No byte: the harness is gone, and nobody else would ever end this process.
  if (readSync(CRASH_DESCRIPTOR, Buffer.alloc(1)) === 0) process.kill(process.pid, 'SIGKILL')
}

/**
 * Tells the harness that the process works from now on, and ends it when the harness is gone, however that went: nothing is
 * left behind on the machine.
 */
export function underHarness(): void {
  process.on('disconnect', () => process.exit(0))
  if (process.env[CRASH_AT] !== undefined) tell(CRASH_READY)
}

function tell(line: string): void {
  try {
    writeSync(CRASH_DESCRIPTOR, `${line}\n`)
  } catch (error) {
    if (codeOf(error) !== 'EPIPE') throw error
    // The harness is gone; that the channel is closed was not heard yet.
    process.exit(0)
  }
}
