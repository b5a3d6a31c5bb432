import { messageOf } from '@banyan/core'
import type { SagaCodec } from './definition.ts'
import { SagaError } from './errors.ts'
import { fromJson } from './json.ts'
import { given } from './options.ts'

/** A JSON text as it is stored. @throws {TypeError} for a codec that gives no text */
export function seal(codec: SagaCodec | undefined, json: string): string {
  return codec ? checkedText('encode', codec.encode(json)) : json
}

/** The JSON text that {@link seal} stored. @throws {SagaError} `ERR_SAGA_UNREADABLE` */
export function unseal(codec: SagaCodec | undefined, stored: string, what: string): string {
  try {
    return codec ? checkedText('decode', codec.decode(stored)) : stored
  } catch (cause) {
    throw unreadable(what, cause)
  }
}

/** The value that was stored. @throws {SagaError} `ERR_SAGA_UNREADABLE` */
export function open(codec: SagaCodec | undefined, stored: string, what: string): unknown {
  const json = unseal(codec, stored, what)
  try {
    return fromJson(json)
  } catch (cause) {
    throw unreadable(what, cause)
  }
}

/** The body of a signal. One that says `plain` was sent by somebody without the codec. */
export function signalBody(codec: SagaCodec | undefined, json: string): string {
  return codec ? JSON.stringify({ sealed: seal(codec, json) }) : `{"plain":${json}}`
}

/** What a signal says. @throws {SagaError} `ERR_SAGA_UNREADABLE` */
export function openSignal(codec: SagaCodec | undefined, body: string): unknown {
  const read = open(undefined, body, 'a signal')
  if (typeof read === 'object' && read !== null && 'plain' in read) return read.plain
  if (typeof read === 'object' && read !== null && 'sealed' in read && typeof read.sealed === 'string')
    return open(codec, read.sealed, 'a signal')
  throw unreadable('a signal', new Error('it is neither plain nor sealed'))
}

/** Of a codec that is asynchronous, or has no key for this saga, nothing must be stored, nor taken for what was. */
function checkedText(method: keyof SagaCodec, text: unknown): string {
  if (typeof text === 'string') return text
  throw new TypeError(`"${method}" of its codec gave ${given(text)}, wanted a text`)
}

function unreadable(what: string, cause: unknown): SagaError {
  return new SagaError('ERR_SAGA_UNREADABLE', `cannot read ${what} as it is stored: ${messageOf(cause)}`, { cause })
}
