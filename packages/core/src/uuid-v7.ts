/**
 * A UUID version 7 from a time and ten random bytes.
 *
 * @param timeMs milliseconds since 1970, 48 bits
 * @param random at least ten bytes
 * @see RFC 9562, section 5.7
 */
export function uuidV7(timeMs: number, random: Uint8Array): string {
  const time = Math.floor(timeMs).toString(16).padStart(12, '0')
  const tail = Array.from(random.subarray(0, 10), (byte) => byte.toString(16).padStart(2, '0')).join('')
  const versioned = `7${tail.slice(1, 4)}`
  const variant = (((random[2] ?? 0) & 0x3f) | 0x80).toString(16).padStart(2, '0') + tail.slice(6, 8)
  return `${time.slice(0, 8)}-${time.slice(8)}-${versioned}-${variant}-${tail.slice(8, 20)}`
}
