/** Two digits for each byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/**
 * A UUID version 7 from a time and ten random bytes.
 *
 * @param timeMs milliseconds since 1970, 48 bits
 * @param random at least ten bytes
 * @see RFC 9562, section 5.7
 */
export function uuidV7(timeMs: number, random: Uint8Array): string {
  const time = Math.floor(timeMs).toString(16).padStart(12, '0')
  const hex = (index: number) => HEX[random[index] ?? 0]
  const version = HEX[0x70 | ((random[0] ?? 0) & 0x0f)]
  const variant = HEX[0x80 | ((random[2] ?? 0) & 0x3f)]
  const tail = `${hex(4)}${hex(5)}${hex(6)}${hex(7)}${hex(8)}${hex(9)}`
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}${hex(1)}-${variant}${hex(3)}-${tail}`
}
