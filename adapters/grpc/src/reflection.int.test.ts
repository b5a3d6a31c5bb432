import { Client, credentials } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { afterEach, expect, test } from 'vitest'
import { rootOf } from './test/root-of.ts'
import { NO_PROXY, startStock } from './test/stock.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

// The parts of grpc/reflection/v1/reflection.proto that are used; v1alpha has the same numbers.
const types = protobuf.parse(`
  syntax = "proto3";
  message Request { oneof message_request { string file_by_filename = 3; string file_containing_symbol = 4; string list_services = 7; } }
  message Files { repeated bytes file_descriptor_proto = 1; }
  message Service { string name = 1; }
  message Services { repeated Service service = 1; }
  message Problem { int32 error_code = 1; string error_message = 2; }
  message Response { Files file_descriptor_response = 4; Services list_services_response = 6; Problem error_response = 7; }
`).root

async function opened(options: Parameters<typeof startStock>[0] = {}) {
  const started = await startStock(options)
  const raw = new Client(`127.0.0.1:${started.port}`, credentials.createInsecure(), NO_PROXY)
  open.push({ close: () => started.stock.stop() }, raw)
  const same = (buffer: Buffer) => buffer
  return (version: string, request: object) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const stream = raw.makeBidiStreamRequest(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, same, same)
      const { Request, Response } = { Request: types.lookupType('Request'), Response: types.lookupType('Response') }
      stream.on('data', (answer: Buffer) => {
        resolve(Response.toObject(Response.decode(answer)))
        stream.end()
      })
      stream.on('error', reject)
      stream.write(Buffer.from(Request.encode(request).finish()))
    })
}

test.each(['v1', 'v1alpha'])('reflection %s lists the services and describes them by their files', async (version) => {
  const ask = await opened()
  expect(await ask(version, { listServices: '*' })).toMatchObject({
    listServicesResponse: { service: [{ name: 'stock.v1.Stock' }, { name: 'grpc.health.v1.Health' }] },
  })
  const { fileDescriptorResponse } = await ask(version, { fileContainingSymbol: 'stock.v1.Stock.Reserve' })
  const root = rootOf((fileDescriptorResponse as { fileDescriptorProto: Uint8Array[] }).fileDescriptorProto)
  expect(root.lookupType('stock.v1.ReserveRequestBody').fieldsArray.map(({ name, id }) => [name, id])).toEqual([
    ['quantity', 1],
    ['note', 2],
  ])
  expect(await ask(version, { fileByFilename: 'other.proto' })).toMatchObject({ errorResponse: { errorCode: 5 } })
})

test('reflection can be turned off', async () => {
  const ask = await opened({ reflection: false })
  await expect(ask('v1', { listServices: '*' })).rejects.toMatchObject({ code: 12 })
})
