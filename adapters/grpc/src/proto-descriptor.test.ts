import { api } from '@banyan/core'
import descriptor from 'protobufjs/ext/descriptor/index.js'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { encodeMessage } from './encode.ts'
import { fileDescriptors } from './proto-descriptor.ts'
import { protoFile } from './proto-file.ts'
import { rootOf } from './test/root-of.ts'

const body = z.object({ note: z.string().optional(), counts: z.record(z.string(), z.int()), rest: z.unknown(), tags: z.array(z.string()) })
const file = protoFile(api('stock', { operations: { put: { method: 'PUT', path: '/stock/{sku}', body, protocols: ['grpc'] } } }))

test('a program that has nothing but the descriptors reads what is sent', () => {
  const root = rootOf([...fileDescriptors(file).values()])
  const type = root.lookupType('stock.v1.PutRequest')
  const sent = encodeMessage(file.methods[0]?.request as never, { sku: 'a', body: { counts: { x: 2 }, rest: ['r', null], tags: ['t'] } })
  const read = type.toObject(type.decode(sent.ok ? sent.bytes : new Uint8Array()), { longs: Number, arrays: true })
  // protobufjs sees in a descriptor's map the list of entries that it is on the wire.
  expect(read).toEqual({
    sku: 'a',
    body: { counts: [{ key: 'x', value: 2 }], tags: ['t'], rest: { list_value: { values: [{ string_value: 'r' }, { null_value: 0 }] } } },
  })
})

test('what is imported comes first, names are absolute, presence is said', () => {
  const descriptors = fileDescriptors(file)
  expect([...descriptors.keys()]).toEqual(['google/protobuf/struct.proto', 'stock/v1/stock.proto'])
  const own = descriptor.FileDescriptorProto.toObject(
    descriptor.FileDescriptorProto.decode(descriptors.get('stock/v1/stock.proto') as Uint8Array),
  )
  expect(own.dependency).toEqual(['google/protobuf/struct.proto'])
  const message = own.messageType.find(({ name }: { name: string }) => name === 'PutRequestBody')
  expect(message.field).toMatchObject([
    { name: 'note', proto3Optional: true, oneofIndex: 0 },
    { name: 'counts', label: 3, typeName: '.stock.v1.PutRequestBody.CountsEntry' },
    { name: 'rest', typeName: '.google.protobuf.Value' },
    { name: 'tags', label: 3 },
  ])
  expect(message.oneofDecl).toEqual([{ name: '_note' }])
})
