// The catalog over gRPC and GraphQL, as programs call it that know nothing of Banyan: by reflection, by health, by descriptors loaded at
// run time, by plain HTTP.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { consulRegistry } from '@banyan/discovery'
import { grpcTransport, protoText } from '@banyan/grpc'
import { client } from '@banyan/service'
import {
  Client,
  type ClientDuplexStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { catalogApi, catalogProto } from '../catalog/contract.ts'
import { firstProducts } from '../catalog/products.ts'
import { type OpenShop, openShop } from './open-shop.ts'

const resolve = createRequire(import.meta.url).resolve
const folderOf = (name: string) => dirname(resolve(`${name}/package.json`))

/** grpc-js would go through the proxy of an environment that has one. */
const NO_PROXY = { 'grpc.enable_http_proxy': 0 } as const

let shop: OpenShop
let instance: { Address: string; Port: number; Meta: Record<string, string> }
let address: string

beforeAll(async () => {
  shop = await openShop({ processes: 'one', checkout: 'orchestration' })
  const answer = await fetch(`${shop.running.registryUrl}/v1/health/service/catalog?passing=1`)
  const [entry] = (await answer.json()) as { Service: typeof instance }[]
  if (!entry) throw new Error('the registry knows no catalog')
  instance = entry.Service
  address = `${instance.Address}:${instance.Meta['grpc-port']}`
})
afterAll(() => shop.close())

/** A part of a loaded package, by its name. */
function constructorOf(loaded: GrpcObject, name: string): ServiceClientConstructor {
  return name.split('.').reduce<unknown>((at, part) => (at as GrpcObject)[part], loaded) as ServiceClientConstructor
}

type Method = (input: object, options: object, done: (error: ServiceError | null, answer: Record<string, unknown>) => void) => void

function call(stub: Client, method: string, input: object, options: { deadline?: number } = {}): Promise<Record<string, unknown>> {
  // Methods of a descriptor that was loaded at run time have no types.
  const run = (stub as unknown as Record<string, Method>)[method] as Method
  return new Promise((done, fail) =>
    run.call(stub, input, { deadline: Date.now() + 5_000, ...options }, (error, answer) => (error ? fail(error) : done(answer))),
  )
}

async function reflect(version: 'v1' | 'v1alpha', request: object): Promise<Record<string, unknown>> {
  const file = join(folderOf('@grpc/reflection'), 'build/proto/grpc/reflection', version, 'reflection.proto')
  const Reflection = constructorOf(loadPackageDefinition(loadSync(file, { longs: String })), `grpc.reflection.${version}.ServerReflection`)
  const stub = new Reflection(address, credentials.createInsecure(), NO_PROXY)
  const stream = (stub as unknown as { serverReflectionInfo(): ClientDuplexStream<object, Record<string, unknown>> }).serverReflectionInfo()
  try {
    return await new Promise((done, fail) => {
      stream.on('data', done).on('error', fail)
      stream.write(request)
    })
  } finally {
    stream.end()
    stub.close()
  }
}

/** A stub made of what reflection says and of nothing else, as grpcurl does it. */
async function reflected(): Promise<Client> {
  const { fileDescriptorResponse } = await reflect('v1', { fileContainingSymbol: 'catalog.v1.Catalog' })
  const files = (fileDescriptorResponse as { fileDescriptorProto: Uint8Array[] }).fileDescriptorProto
  // A FileDescriptorSet: each file as field 1.
  const set = Buffer.concat(files.flatMap((bytes) => [Buffer.from([0x0a]), varint(bytes.length), Buffer.from(bytes)]))
  const Catalog = constructorOf(loadPackageDefinition(loadFileDescriptorSetFromBuffer(set, { longs: Number })), 'catalog.v1.Catalog')
  return new Catalog(address, credentials.createInsecure(), NO_PROXY)
}

function varint(value: number): Buffer {
  return value < 0x80 ? Buffer.from([value]) : Buffer.concat([Buffer.from([(value & 0x7f) | 0x80]), varint(value >> 7)])
}

test('the registry says where gRPC and GraphQL are, on free ports', () => {
  expect(instance.Meta).toEqual({ 'grpc-port': expect.stringMatching(/^\d+$/), 'graphql-path': '/graphql' })
  expect(Number(instance.Meta['grpc-port'])).not.toBe(instance.Port)
})

test('catalog.proto says what the contract says', () => {
  const committed = readFileSync(catalogProto, 'utf8')
  expect(committed).toBe(protoText(catalogApi, committed))
})

test.each(['v1', 'v1alpha'] as const)('reflection %s lists what there is', async (version) => {
  const { listServicesResponse } = await reflect(version, { listServices: '*' })
  expect(listServicesResponse).toEqual({ service: [{ name: 'catalog.v1.Catalog' }, { name: 'grpc.health.v1.Health' }] })
})

test('who has the descriptors by reflection alone calls the catalog', async () => {
  const catalog = await reflected()
  expect(await call(catalog, 'GetProduct', { id: 'fig-tree' })).toEqual({
    product_id: 'fig-tree',
    name: 'Fig tree, 1 m',
    price_cents: 2490,
  })
  const { items } = await call(catalog, 'ListProducts', {})
  expect((items as unknown[]).length).toBe(firstProducts.length)
  catalog.close()
})

test('the standard health service says that the catalog is ready, and knows no other', async () => {
  const file = join(folderOf('grpc-health-check'), 'proto/health/v1/health.proto')
  const Health = constructorOf(loadPackageDefinition(loadSync(file, { enums: String })), 'grpc.health.v1.Health')
  const health = new Health(address, credentials.createInsecure(), NO_PROXY)
  expect(await call(health, 'check', { service: '' })).toEqual({ status: 'SERVING' })
  expect(await call(health, 'check', { service: 'catalog.v1.Catalog' })).toEqual({ status: 'SERVING' })
  await expect(call(health, 'check', { service: 'orders.v1.Orders' })).rejects.toMatchObject({ code: status.NOT_FOUND })
  health.close()
})

test('the same typed client finds the catalog over gRPC, by the registry', async () => {
  const registry = consulRegistry({ url: shop.running.registryUrl })
  const transport = grpcTransport({ registry, contracts: [{ api: catalogApi, proto: catalogProto }] })
  const catalog = client(catalogApi, { transport })
  expect(await catalog.getProduct({ params: { id: 'bonsai' } })).toEqual({
    productId: 'bonsai',
    name: 'Bonsai, 40 years',
    priceCents: 48_000,
  })
  expect((await catalog.listProducts()).length).toBe(firstProducts.length)
  await expect(catalog.getProduct({ params: { id: 'orchid' } })).rejects.toMatchObject({
    status: 404,
    problem: { code: 'ERR_PRODUCT_UNKNOWN' },
  })
  await transport.close()
  await registry.close()
})

test('bad input over gRPC: what is wrong has a status, and the next call is answered', async () => {
  const catalog = await reflected()
  const raw = new Client(address, credentials.createInsecure(), NO_PROXY)
  const same = (bytes: Buffer) => bytes
  const send = (method: string, bytes: Buffer) =>
    new Promise<ServiceError | null>((done) => {
      raw.makeUnaryRequest(`/catalog.v1.Catalog/${method}`, same, same, bytes, new Metadata(), {}, (error) => done(error))
    })
  await expect(call(catalog, 'GetProduct', { id: 'orchid' })).rejects.toMatchObject({
    code: status.NOT_FOUND,
    details: 'there is no product "orchid"',
  })
  await expect(call(catalog, 'GetProduct', {})).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  expect(await send('GetProduct', Buffer.from([0x08, 0x07]))).toMatchObject({ code: status.INVALID_ARGUMENT })
  expect(await send('GetProduct', Buffer.from([0x0a, 0x7f, 0x41]))).toMatchObject({ code: status.INVALID_ARGUMENT })
  expect(await send('GetProduct', Buffer.alloc(2 * 1024 * 1024, 0x61))).toMatchObject({ code: status.RESOURCE_EXHAUSTED })
  expect(await send('DropTables', Buffer.alloc(0))).toMatchObject({ code: status.UNIMPLEMENTED })
  await expect(call(catalog, 'ListProducts', {}, { deadline: Date.now() - 1 })).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED })
  const cancelled = new Promise<ServiceError | null>((done) => {
    raw
      .makeUnaryRequest('/catalog.v1.Catalog/ListProducts', same, same, Buffer.alloc(0), new Metadata(), {}, (error) => done(error))
      .cancel()
  })
  expect(await cancelled).toMatchObject({ code: status.CANCELLED })
  // A field that this version does not know is passed over.
  expect(await send('GetProduct', Buffer.from([0x0a, 0x06, ...Buffer.from('bonsai'), 0x78, 0x01]))).toBeNull()
  catalog.close()
  raw.close()
})

async function graphql(body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`http://${instance.Address}:${instance.Port}${instance.Meta['graphql-path']}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return {
    status: response.status,
    body: (await response.json()) as { data?: unknown; errors?: { path?: unknown; extensions?: object }[]; code?: string },
  }
}

test('a GraphQL query of which one field fails has the answers of the others', async () => {
  const query =
    '{ listProducts { productId } bonsai: getProduct(id: "bonsai") { name priceCents } orchid: getProduct(id: "orchid") { name } }'
  const { status: code, body } = await graphql({ query })
  expect(code).toBe(200)
  expect(body.data).toEqual({
    listProducts: firstProducts.map(({ productId }) => ({ productId })).sort((a, b) => (a.productId < b.productId ? -1 : 1)),
    bonsai: { name: 'Bonsai, 40 years', priceCents: 48_000 },
    orchid: null,
  })
  expect(body.errors).toEqual([
    expect.objectContaining({
      message: 'there is no product "orchid"',
      path: ['orchid'],
      extensions: { code: 'ERR_PRODUCT_UNKNOWN', status: 404, traceId: expect.any(String) },
    }),
  ])
})

test('a trace goes on over gRPC and GraphQL', async () => {
  const [overGrpc, overGraphql] = ['1', '2'].map((digit) => digit.repeat(32)) as [string, string]
  const traceparent = (traceId: string) => `00-${traceId}-${'3'.repeat(16)}-01`
  const raw = new Client(address, credentials.createInsecure(), NO_PROXY)
  const metadata = new Metadata()
  metadata.set('traceparent', traceparent(overGrpc))
  const same = (bytes: Buffer) => bytes
  const failed = await new Promise<ServiceError | null>((done) => {
    raw.makeUnaryRequest('/catalog.v1.Catalog/ListProducts', same, same, Buffer.alloc(0), metadata, {}, (error) => done(error))
  })
  raw.close()
  expect(failed).toBeNull()
  await graphql({ query: '{ listProducts { name } }' }, { traceparent: traceparent(overGraphql) })
  for (const traceId of [overGrpc, overGraphql]) {
    await expect
      .poll(() => shop.running.traces.spans(traceId).map(({ name, parentSpanId }) => [name, parentSpanId]), { timeout: 10_000 })
      .toContainEqual(['catalog GET /products', '3'.repeat(16)])
  }
})

test('bad input over GraphQL: what is wrong is named, and nothing internal is said', async () => {
  expect(await graphql({ query: '{ getProduct(id: "bonsai") { colour } }' })).toMatchObject({
    status: 400,
    body: { errors: [{ message: expect.stringContaining('"colour"'), extensions: { code: 'ERR_REQUEST_INVALID' } }] },
  })
  expect(await graphql({ query: '{ getProduct(id: ["a"]) { name } }' })).toMatchObject({ status: 400 })
  expect(await graphql('{"query":')).toMatchObject({ status: 400 })
  expect(await graphql({ query: `{ ${'a: listProducts { name } '.repeat(30)} }` })).toMatchObject({
    status: 400,
    body: { errors: [{ extensions: { code: 'ERR_GRAPHQL_LIMIT' } }, {}] },
  })
  expect(await graphql({ query: `#${'x'.repeat(200_000)}\n{ listProducts { name } }` })).toMatchObject({ status: 413 })
  expect(await graphql('query={ listProducts { name } }', { 'content-type': 'application/x-www-form-urlencoded' })).toMatchObject({
    status: 415,
  })
  const late = await graphql({ query: '{ listProducts { name } }' }, { 'x-timeout-ms': '0' })
  expect(late).toMatchObject({
    status: 200,
    body: { data: { listProducts: null }, errors: [{ extensions: { code: 'ERR_REQUEST_TIMEOUT', status: 504 } }] },
  })
  expect(JSON.stringify(late.body)).not.toMatch(/\.ts|stack/)
})
