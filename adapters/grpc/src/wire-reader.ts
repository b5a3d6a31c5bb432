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
  return new BytesReader(bytes, 0, bytes.length)
}

/** A class, as one is made for each message in a message: with functions of its own each would cost many times its bytes. */
class BytesReader implements WireReader {
  readonly #bytes: Uint8Array
  readonly #end: number
  #at: number

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end
  }

  tag(): { readonly number: number; readonly wire: number } {
    const tag = this.#number()
    const number = Math.floor(tag / 8)
    if (number < 1 || number > 536_870_911) throw new WireError(`a field has the number ${number}`)
    return { number, wire: tag % 8 }
  }

  int64(): number {
    const value = BigInt.asIntN(64, this.#varint())
    const number = Number(value)
    if (!Number.isSafeInteger(number)) throw new WireError(`${value} is beyond the whole numbers that are exact, 2^53`)
    return number
  }

  bool(): boolean {
    return this.#varint() !== 0n
  }

  double(): number {
    const { buffer, byteOffset } = this.#bytes
    const number = new DataView(buffer, byteOffset + this.#take(8)).getFloat64(0, true)
    // It would go on as null, which is another value.
    if (!Number.isFinite(number)) throw new WireError(`a number is ${number}, which JSON has no way to say`)
    return number
  }

  string(): string {
    const length = this.#number()
    const start = this.#take(length)
    if (length === 0) return ''
    try {
      return utf8.decode(this.#bytes.subarray(start, start + length))
    } catch (cause) {
      throw new WireError('a text is not UTF-8', { cause })
    }
  }

  nested(): WireReader {
    const length = this.#number()
    const start = this.#take(length)
    return new BytesReader(this.#bytes, start, start + length)
  }

  skip(wire: number): void {
    if (wire === WIRE.varint) this.#number()
    else if (wire === WIRE.fixed64) this.#take(8)
    else if (wire === WIRE.bytes) this.#take(this.#number())
    else if (wire === WIRE.fixed32) this.#take(4)
    else throw new WireError(`a field has the wire type ${wire}`)
  }

  /** Where so many bytes begin. */
  #take(length: number): number {
    const left = this.#end - this.#at
    if (length > left) throw new WireError(`it ends ${length - left} bytes too early`)
    this.#at += length
    return this.#at - length
  }

  /** A tag or a length: mostly of one byte, and then no big number is made. */
  #number(): number {
    const byte = this.#bytes[this.#at] ?? 0
    if (this.isAtEnd || byte >= 0x80) return Number(this.#varint())
    this.#at += 1
    return byte
  }

  #varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#take(1)] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new WireError('a number has more than ten bytes')
  }
}
