import { shown } from '@banyan/core'
/** What goes wrong between a client and a server. Left out: nothing. */
export interface Faults {
  /** Which way the faults of bytes hold. Default `both`. */
  direction?: 'both' | 'requests' | 'answers'
  /** Each byte is so late, milliseconds. */
  latencyMs?: number
  /** The latency varies by up to so much either way, milliseconds; order is kept. */
  jitterMs?: number
  /** No more bytes than this come through a second, for each connection and direction. */
  bytesPerSecond?: number
  /** After so many bytes of a connection it is reset, as by a crash. 0: at the first one. */
  resetAfterBytes?: number
  /** After so many bytes of a connection it is closed in order, as half an answer. 0: at the first one. */
  closeAfterBytes?: number
  /** This share of new connections is reset at once, 0 to 1. */
  resetShare?: number
  /** Nothing comes through any more, and nobody is told; what was held back comes when this ends. */
  blackHole?: boolean
  /** One side's end or death is not told to the other, which believes in a connection that is none. */
  halfOpen?: boolean
  /** Nobody listens. Connections that are there stay. */
  refuse?: boolean
}

const NUMBERS = ['latencyMs', 'jitterMs', 'resetAfterBytes', 'closeAfterBytes'] as const

/** @throws {RangeError} {TypeError} for a fault out of range */
export function checkFaults(faults: Faults): void {
  const fail = (name: string, value: unknown, wanted: string) =>
    new RangeError(`cannot set the faults of the proxy: "${name}" is ${shown(value)}, wanted ${wanted}`)
  for (const name of NUMBERS) {
    const value = faults[name]
    if (value !== undefined && !(value >= 0 && Number.isFinite(value))) throw fail(name, value, 'a number from 0')
  }
  const { bytesPerSecond, resetShare, direction = 'both' } = faults
  if (bytesPerSecond !== undefined && !(bytesPerSecond >= 1)) throw fail('bytesPerSecond', bytesPerSecond, 'a number from 1')
  if (resetShare !== undefined && !(resetShare >= 0 && resetShare <= 1)) throw fail('resetShare', resetShare, '0 to 1')
  if (!['both', 'requests', 'answers'].includes(direction))
    throw new TypeError(`cannot set the faults of the proxy: "direction" is "${direction}", wanted "both", "requests" or "answers"`)
}
