import { messageOf } from '@banyan/core'
import protobuf from 'protobufjs'
import { GrpcError } from './errors.ts'

/** What an earlier .proto says of a message: the numbers that are taken for ever. */
export interface LockedMessage {
  readonly fields: ReadonlyMap<string, LockedField>
  readonly reserved: readonly number[]
}

export interface LockedField {
  readonly number: number
  /** `string`, `repeated int64`, `message`: what tells whether bytes of it can still be read. */
  readonly type: string
  /** The message it carries. */
  readonly message: LockedMessage | undefined
}

/** The messages of each method, as an earlier .proto has them. */
export type ProtoLock = ReadonlyMap<string, { readonly request: LockedMessage; readonly response: LockedMessage }>

/**
 * Reads the numbers out of a .proto that was written earlier.
 *
 * @throws {GrpcError} `ERR_PROTO_INVALID` with the line that cannot be read
 */
export function readLock(text: string, source: string): ProtoLock {
  const fail = (what: string, cause?: unknown) => new GrpcError('ERR_PROTO_INVALID', `cannot read "${source}": ${what}`, { cause })
  let root: protobuf.Root
  try {
    root = protobuf.parse(text, { keepCase: true }).root
    for (const file of ['google/protobuf/struct.proto']) root.addJSON(protobuf.common.get(file)?.nested ?? {})
    root.resolveAll()
  } catch (cause) {
    throw fail(messageOf(cause), cause)
  }
  const services = servicesIn(root)
  const [service] = services
  if (services.length !== 1 || !service) throw fail(`it has ${services.length} services, wanted one`)
  const known = new Map<protobuf.Type, LockedMessage>()
  return new Map(
    service.methodsArray.map((method) => {
      const { resolvedRequestType: request, resolvedResponseType: response } = method
      if (!request || !response) throw fail(`the method "${method.name}" names a message that is not there`)
      return [method.name, { request: lockedMessage(request, known), response: lockedMessage(response, known) }]
    }),
  )
}

function servicesIn(namespace: protobuf.NamespaceBase): protobuf.Service[] {
  return namespace.nestedArray.flatMap((nested) => {
    if (nested instanceof protobuf.Service) return [nested]
    return nested instanceof protobuf.Namespace ? servicesIn(nested) : []
  })
}

function lockedMessage(type: protobuf.Type, known: Map<protobuf.Type, LockedMessage>): LockedMessage {
  const found = known.get(type)
  if (found) return found
  const fields = new Map<string, LockedField>()
  // Numbers alone: a name that was given up may come back, with a new number.
  const ranges = (type.reserved ?? []).filter((each) => Array.isArray(each))
  const locked: LockedMessage = { fields, reserved: ranges.flatMap(([from = 0, to = from]) => numbersBetween(from, to)) }
  known.set(type, locked)
  for (const field of type.fieldsArray) {
    const { name, id, resolvedType } = field
    const message =
      resolvedType instanceof protobuf.Type && !resolvedType.fullName.startsWith('.google.')
        ? lockedMessage(resolvedType, known)
        : undefined
    const label = field instanceof protobuf.MapField ? 'map ' : field.repeated ? 'repeated ' : ''
    fields.set(name, { number: id, type: label + (message ? 'message' : field.type.replace(/^\.?google\.protobuf\./, '')), message })
  }
  return locked
}

function numbersBetween(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, Math.min(to, from + 10_000) - from + 1) }, (_, index) => from + index)
}
