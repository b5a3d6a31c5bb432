import descriptor from 'protobufjs/ext/descriptor/index.js'
import { type ProtoField, type ProtoFile, type ProtoMessage, type ProtoType, serviceNameOf } from './proto-model.ts'
import { jsonNameOf } from './proto-names.ts'

const STRUCT_FILE = 'google/protobuf/struct.proto'

/** Encoded `FileDescriptorProto`s of a contract and of what it imports, by file name: what reflection hands out. */
export function fileDescriptors(file: ProtoFile): ReadonlyMap<string, Uint8Array> {
  const usesStruct = file.messages.some(({ fields }) => fields.some(({ type: { kind } }) => kind === 'value' || kind === 'struct'))
  const own = encode({
    ...{ name: file.name, package: file.package, syntax: 'proto3', dependency: usesStruct ? [STRUCT_FILE] : [] },
    messageType: file.messages.map((message) => messageDescriptor(file, message)),
    service: [
      {
        name: file.service,
        method: file.methods.map(({ name, request, response }) => {
          return { name, inputType: absolute(file, request.name), outputType: absolute(file, response.name) }
        }),
      },
    ],
  })
  return new Map([...(usesStruct ? [[STRUCT_FILE, structDescriptor()] as const] : []), [file.name, own]])
}

/** The name by which reflection knows a contract's service, and the file it stands in. */
export function reflected(file: ProtoFile): { name: string; files: Uint8Array[] } {
  return { name: serviceNameOf(file), files: [...fileDescriptors(file).values()] }
}

// The numbers of google.protobuf.FieldDescriptorProto.Type and Label.
const TYPES = { string: 9, int64: 3, double: 1, bool: 8, message: 11, value: 11, struct: 11 } as const
const ENUM = 14
const OPTIONAL = 1
const REPEATED = 3

function messageDescriptor(file: ProtoFile, { name, fields, reserved }: ProtoMessage) {
  // Presence of a single scalar is, in proto3, a "oneof" of that field alone, named after it.
  const present = fields.filter(({ label, type }) => label === 'single' && TYPES[type.kind] !== TYPES.message)
  return {
    name,
    field: fields.map((field) => fieldDescriptor(file, name, field, present.indexOf(field))),
    nestedType: fields.filter(({ label }) => label === 'map').map((field) => entryDescriptor(file, field)),
    oneofDecl: present.map((field) => ({ name: `_${field.name}` })),
    // The end of a range is the first number that is not in it.
    reservedRange: reserved.map((number) => ({ start: number, end: number + 1 })),
  }
}

function fieldDescriptor(file: ProtoFile, message: string, { name, jsonName, number, label, type }: ProtoField, oneofIndex: number) {
  const common = { name, jsonName, number, label: label === 'single' ? OPTIONAL : REPEATED }
  if (label === 'map') return { ...common, type: TYPES.message, typeName: `${absolute(file, message)}.${entryName(name)}` }
  return { ...common, ...typed(file, type), ...(oneofIndex >= 0 && { oneofIndex, proto3Optional: true }) }
}

function entryDescriptor(file: ProtoFile, { name, type }: ProtoField) {
  const key = { name: 'key', jsonName: 'key', number: 1, label: OPTIONAL, type: TYPES.string }
  const value = { name: 'value', jsonName: 'value', number: 2, label: OPTIONAL, ...typed(file, type) }
  return { name: entryName(name), field: [key, value], options: { mapEntry: true } }
}

function typed(file: ProtoFile, type: ProtoType) {
  const typeNames = { value: '.google.protobuf.Value', struct: '.google.protobuf.Struct' }
  if (type.kind === 'message') return { type: TYPES.message, typeName: absolute(file, type.message.name) }
  if (type.kind === 'value' || type.kind === 'struct') return { type: TYPES.message, typeName: typeNames[type.kind] }
  return { type: TYPES[type.kind] }
}

/** As protoc names them: `by_name` has `ByNameEntry`. */
function entryName(field: string): string {
  return `${field.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())}Entry`
}

function absolute(file: ProtoFile, name: string): string {
  return `.${file.package}.${name}`
}

/** google/protobuf/struct.proto, with the names it has everywhere: protobufjs brings it with names of its own. */
function structDescriptor(): Uint8Array {
  const name = (message: string) => `.google.protobuf.${message}`
  const one = (field: string, number: number, type: number, typeName?: string) => {
    return { name: field, jsonName: jsonNameOf(field), number, label: OPTIONAL, type, ...(typeName !== undefined && { typeName }) }
  }
  const many = (field: string, typeName: string) => ({ ...one(field, 1, TYPES.message, typeName), label: REPEATED })
  const kinds = [
    one('null_value', 1, ENUM, name('NullValue')),
    one('number_value', 2, TYPES.double),
    one('string_value', 3, TYPES.string),
    one('bool_value', 4, TYPES.bool),
    one('struct_value', 5, TYPES.message, name('Struct')),
    one('list_value', 6, TYPES.message, name('ListValue')),
  ]
  const entry = {
    name: 'FieldsEntry',
    field: [one('key', 1, TYPES.string), one('value', 2, TYPES.message, name('Value'))],
    options: { mapEntry: true },
  }
  return encode({
    ...{ name: STRUCT_FILE, package: 'google.protobuf', syntax: 'proto3' },
    messageType: [
      { name: 'Struct', field: [many('fields', name('Struct.FieldsEntry'))], nestedType: [entry] },
      { name: 'Value', field: kinds.map((field) => ({ ...field, oneofIndex: 0 })), oneofDecl: [{ name: 'kind' }] },
      { name: 'ListValue', field: [many('values', name('Value'))] },
    ],
    enumType: [{ name: 'NullValue', value: [{ name: 'NULL_VALUE', number: 0 }] }],
  })
}

function encode(file: object): Uint8Array {
  return descriptor.FileDescriptorProto.encode(descriptor.FileDescriptorProto.fromObject(file)).finish()
}
