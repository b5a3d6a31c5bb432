import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Api, codeOf, isServedOver, messageOf } from '@banyan/core'
import { GrpcError } from './errors.ts'
import { protoFile } from './proto-file.ts'
import { readLock } from './proto-lock.ts'
import { type ProtoField, type ProtoFile, type ProtoMessage, type ProtoMethod, type ProtoType, serviceNameOf } from './proto-model.ts'
import { jsonNameOf } from './proto-names.ts'

/** A contract to serve or call over gRPC. */
export interface GrpcContract {
  readonly api: Api
  /**
   * The committed .proto of the contract, written by {@link writeProto}: it keeps the numbers of the fields as the contract changes.
   * Left out, fields are numbered in their order, which holds while all who call are deployed together with the service.
   */
  readonly proto?: URL
}

/**
 * A contract's .proto as text. With the text of an earlier one, what was there keeps its numbers, and what is no more is reserved.
 *
 * @throws {GrpcError} `ERR_GRPC_CONTRACT`, `ERR_PROTO_INVALID`
 */
export function protoText(api: Api, earlier?: string): string {
  return textOf(protoFile(api, earlier === undefined ? undefined : readLock(earlier, `${api.name}.proto`)))
}

/**
 * Writes a contract's .proto anew, with the numbers that the file has. Returns whether that changed anything.
 *
 * @throws {GrpcError} `ERR_GRPC_CONTRACT`, `ERR_PROTO_INVALID`
 */
export function writeProto({ api, proto }: Required<GrpcContract>): boolean {
  const earlier = readIfThere(proto)
  const text = protoText(api, earlier)
  if (text === earlier) return false
  writeFileSync(proto, text)
  return true
}

/**
 * The model of a contract, with the numbers of its committed .proto.
 *
 * @throws {GrpcError} `ERR_PROTO_MISSING`, `ERR_PROTO_STALE` when the file says other than the contract, `ERR_PROTO_INVALID`,
 *   `ERR_GRPC_CONTRACT`
 */
export function loadProto({ api, proto }: GrpcContract): ProtoFile {
  if (!proto) return protoFile(api)
  const path = fileURLToPath(proto)
  const committed = readIfThere(proto)
  if (committed === undefined) {
    throw new GrpcError('ERR_PROTO_MISSING', `cannot read "${path}", the .proto of the contract "${api.name}"; write it with writeProto`)
  }
  const file = protoFile(api, readLock(committed, path))
  const [was, wanted] = [statements(committed), statements(textOf(file))]
  const at = wanted.findIndex((line, index) => line !== was[index])
  if (at >= 0 || was.length !== wanted.length) {
    const line = at < 0 ? was[wanted.length] : wanted[at]
    const message = `"${path}" is not what the contract "${api.name}" says: look for "${line}"; write it anew with writeProto and commit it`
    throw new GrpcError('ERR_PROTO_STALE', message)
  }
  return file
}

function readIfThere(proto: URL): string | undefined {
  try {
    return readFileSync(proto, 'utf8')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined
    throw new GrpcError('ERR_PROTO_MISSING', `cannot read "${fileURLToPath(proto)}": ${messageOf(cause)}`, { cause })
  }
}

/** Lines without comments: those may be mended by hand. */
function statements(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/\s*\/\/.*$/, '').trim())
    .filter((line) => line !== '')
}

function textOf(file: ProtoFile): string {
  const { api, methods, messages } = file
  const usesStruct = messages.some(({ fields }) => fields.some(({ type: { kind } }) => kind === 'value' || kind === 'struct'))
  const parts = [
    `// Written from the contract "${api.name}", version ${api.version}. Committed, because it keeps the numbers of the fields: write it anew`,
    '// after a change of the contract, do not edit them by hand.',
    'syntax = "proto3";',
    '',
    `package ${file.package};`,
    ...(usesStruct ? ['', 'import "google/protobuf/struct.proto";'] : []),
    '',
    `// ${serviceNameOf(file)}, answered by the service "${api.name}".`,
    `service ${file.service} {`,
    methods.map(methodText).join('\n'),
    '}',
    ...messages.flatMap((message) => ['', ...messageText(message)]),
  ]
  return `${parts.join('\n')}\n`
}

function methodText({ name, operation, request, response }: ProtoMethod): string {
  const { method, path, summary, refusals = [], idempotencyKey = 'none' } = operation
  const notes = [
    ...(summary === undefined ? [] : [`${summary}.`]),
    ...(isServedOver(operation, 'http') ? [`Over HTTP: ${method} ${path}.`] : []),
    ...(idempotencyKey === 'none' ? [] : [`The metadata "idempotency-key" is ${idempotencyKey}.`]),
    ...(refusals.length === 0 ? [] : [`Refuses by FAILED_PRECONDITION with the reason ${refusals.join(', ')}.`]),
  ]
  return [...notes.map((note) => `  ${comment(note)}`), `  rpc ${name}(${request.name}) returns (${response.name});`].join('\n')
}

function messageText({ name, comment: note, fields, reserved }: ProtoMessage): string[] {
  return [
    ...(note === undefined ? [] : [comment(note)]),
    `message ${name} {`,
    ...(reserved.length === 0 ? [] : [`  reserved ${reserved.join(', ')};`]),
    ...fields.flatMap((field) => [...(field.comment === undefined ? [] : [`  ${comment(field.comment)}`]), `  ${fieldText(field)}`]),
    '}',
  ]
}

/** Every single field has presence, so that "not there" and "empty" are told apart as in JSON. */
function fieldText(field: ProtoField): string {
  const type = typeText(field.type)
  const isMessage = type.includes('.') || field.type.kind === 'message'
  const typed = { single: isMessage ? type : `optional ${type}`, list: `repeated ${type}`, map: `map<string, ${type}>` }
  const named = field.jsonName === jsonNameOf(field.name) ? '' : ` [json_name = ${JSON.stringify(field.jsonName)}]`
  return `${typed[field.label]} ${field.name} = ${field.number}${named};`
}

function typeText(type: ProtoType): string {
  if (type.kind === 'message') return type.message.name
  return { string: 'string', int64: 'int64', double: 'double', bool: 'bool', value: VALUE, struct: STRUCT }[type.kind]
}

const VALUE = 'google.protobuf.Value'
const STRUCT = 'google.protobuf.Struct'

function comment(text: string): string {
  return `// ${text.replace(/\s+/g, ' ')}`
}
