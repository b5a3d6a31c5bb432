import { uuidV7 } from './uuid-v7.ts'
import type { Timer, World } from './world.ts'

/** The longest delay that a timer of the runtime takes, milliseconds: 24.8 days. Of a longer one it would make 1 ms. */
const LONGEST_MS = 2 ** 31 - 1

/** The real world: the machine's clocks, its random numbers, its timers. The default of every `world` option. */
export const systemWorld: World = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  uuid: nextUuid,
  after(delayMs, fire) {
    if (delayMs > LONGEST_MS) return afterSeveral(delayMs, fire)
    const timer = setTimeout(fire, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** A long delay, waited out in several timers. */
function afterSeveral(delayMs: number, fire: () => void): Timer {
  let leftMs = delayMs
  let timer: NodeJS.Timeout | undefined

  function wait(): void {
    const partMs = Math.min(leftMs, LONGEST_MS)
    leftMs -= partMs
    timer = setTimeout(leftMs > 0 ? wait : fire, partMs)
  }

  wait()
  return { cancel: () => clearTimeout(timer) }
}

let lastMs = 0
let sequence = 0

/** Random bytes of an id. */
const BYTES = 10
/** A call for random bytes costs more than the bytes: they are fetched for many ids at once. */
const pool = new Uint8Array(BYTES * 256)
let used = pool.length

function randomBytes(): Uint8Array {
  if (used === pool.length) {
    crypto.getRandomValues(pool)
    used = 0
  }
  used += BYTES
  return pool.subarray(used - BYTES, used)
}

/**
 * Ids made in one process sort in the order they were made: within a millisecond the first twelve random bits count up
 * (RFC 9562, section 6.2, method 1).
 */
function nextUuid(): string {
  const now = Date.now()
  const random = randomBytes()
  if (now > lastMs) {
    lastMs = now
    sequence = (((random[0] ?? 0) & 0x07) << 8) | (random[1] ?? 0)
  } else {
    sequence += 1
    if (sequence > 0xfff) {
      lastMs += 1
      sequence = 0
    }
  }
  random[0] = sequence >> 8
  random[1] = sequence & 0xff
  return uuidV7(lastMs, random)
}
