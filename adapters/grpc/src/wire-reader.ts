/** Bytes of a message that are none: truncated, too long, of another type. */
export class WireError extends Error {}

/** The wire types of protobuf: what a field's value looks like in bytes. */
export const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/**
 * Reads protobuf's wire format and believes nothing: whatever reaches beyond the end, is no UTF-8, or is no number that JavaScript can
 * hold, is an error and not a guess.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export interface WireReader {
  readonly isAtEnd: boolean
  /** The number and wire type of the next field. */
  tag(): { readonly number: number; readonly wire: number }
  int64(): number
  bool(): boolean
  double(): number
  string(): string
  /** A reader of the next length-delimited bytes alone. */
  nested(): WireReader
  skip(wire: number): void
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Creates a {@link WireReader}. */
export function wireReader(bytes: Uint8Array): WireReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0

  function take(length: number): number {
    if (length > bytes.length - at) throw new WireError(`it ends ${length - (bytes.length - at)} bytes too early`)
    at += length
    return at - length
  }

  function varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = view.getUint8(take(1))
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new WireError('a number has more than ten bytes')
  }

  function delimited(): Uint8Array {
    const length = Number(varint())
    const start = take(length)
    return bytes.subarray(start, start + length)
  }

  return {
    get isAtEnd() {
      return at >= bytes.length
    },
    tag() {
      const tag = Number(varint())
      const number = Math.floor(tag / 8)
      if (number < 1 || number > 536_870_911) throw new WireError(`a field has the number ${number}`)
      return { number, wire: tag % 8 }
    },
    int64() {
      const value = BigInt.asIntN(64, varint())
      const number = Number(value)
      if (!Number.isSafeInteger(number)) throw new WireError(`${value} is beyond the whole numbers that are exact, 2^53`)
      return number
    },
    bool: () => varint() !== 0n,
    double() {
      const number = view.getFloat64(take(8), true)
      // It would go on as null, which is another value.
      if (!Number.isFinite(number)) throw new WireError(`a number is ${number}, which JSON has no way to say`)
      return number
    },
    string() {
      try {
        return utf8.decode(delimited())
      } catch (cause) {
        if (cause instanceof WireError) throw cause
        throw new WireError('a text is not UTF-8', { cause })
      }
    },
    nested: () => wireReader(delimited()),
    skip(wire) {
      if (wire === WIRE.varint) varint()
      else if (wire === WIRE.fixed64) take(8)
      else if (wire === WIRE.bytes) delimited()
      else if (wire === WIRE.fixed32) take(4)
      else throw new WireError(`a field has the wire type ${wire}`)
    },
  }
}
