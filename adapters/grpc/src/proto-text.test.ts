import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { api } from '@banyan/core'
import protobuf from 'protobufjs'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { loadProto, protoText, writeProto } from './proto-text.ts'

const Product = z.object({ productId: z.string(), priceCents: z.int().min(0), kind: z.enum(['tree', 'tool']) }).meta({ title: 'Product' })

function stock(body: z.ZodType = z.object({ quantity: z.int(), note: z.string().optional() })) {
  return api('stock-keeper', {
    version: 2,
    operations: {
      list: { method: 'GET', path: '/products', summary: 'Everything', response: z.array(Product), protocols: ['http', 'grpc'] },
      get: { method: 'GET', path: '/products/{id}', response: Product, protocols: ['grpc'] },
      reserve: {
        method: 'POST',
        path: '/products/{id}/reservations',
        query: z.object({ dryRun: z.stringbool().optional(), page: z.coerce.number().default(1) }),
        body,
        refusals: ['sold-out'],
        idempotencyKey: 'required',
        protocols: ['grpc'],
      },
      hidden: { method: 'GET', path: '/hidden' },
    },
  })
}

test('a contract becomes a .proto that protobuf can read', () => {
  const text = protoText(stock())
  expect(text).toMatchInlineSnapshot(`
    "// Written from the contract "stock-keeper", version 2. Committed, because it keeps the numbers of the fields: write it anew
    // after a change of the contract, do not edit them by hand.
    syntax = "proto3";

    package stock_keeper.v2;

    // stock_keeper.v2.StockKeeper, answered by the service "stock-keeper".
    service StockKeeper {
      // Everything.
      // Over HTTP: GET /products.
      rpc List(ListRequest) returns (ListResponse);
      rpc Get(GetRequest) returns (Product);
      // The metadata "idempotency-key" is required.
      // Refuses by FAILED_PRECONDITION with the reason sold-out.
      rpc Reserve(ReserveRequest) returns (ReserveResponse);
    }

    // What List answers.
    message ListResponse {
      repeated Product items = 1;
    }

    message Product {
      optional string product_id = 1;
      optional int64 price_cents = 2;
      // One of: tree, tool
      optional string kind = 3;
    }

    // Reserve answers nothing but that it is done.
    message ReserveResponse {
    }

    // What List takes.
    message ListRequest {
    }

    // What Get takes.
    message GetRequest {
      optional string id = 1;
    }

    // What Reserve takes.
    message ReserveRequest {
      optional string id = 1;
      ReserveRequestQuery query = 2;
      ReserveRequestBody body = 3;
    }

    message ReserveRequestQuery {
      optional string dry_run = 1;
      optional double page = 2;
    }

    message ReserveRequestBody {
      optional int64 quantity = 1;
      optional string note = 2;
    }
    "
  `)
  const root = protobuf.parse(text, { keepCase: true }).root
  expect(root.lookupService('stock_keeper.v2.StockKeeper').methodsArray.map(({ name }) => name)).toEqual(['List', 'Get', 'Reserve'])
})

/** The fields of one message, as they stand in a .proto. */
function fieldsIn(text: string, message: string): string[] {
  const [, body = ''] = new RegExp(`message ${message} \\{\\n([^}]*)\\}`).exec(text) ?? []
  return body.split('\n').flatMap((line) => (line.trim() === '' || line.includes('//') ? [] : [line.trim()]))
}

const start = protoText(stock(z.object({ quantity: z.int(), note: z.string().optional(), gift: z.boolean() })))

test('what stays keeps its number wherever it moves, what is new gets the next, and no number comes back', () => {
  const moved = protoText(stock(z.object({ colour: z.string(), gift: z.boolean(), quantity: z.int() })), start)
  expect(fieldsIn(moved, 'ReserveRequestBody')).toEqual([
    'reserved 2;',
    'optional string colour = 4;',
    'optional bool gift = 3;',
    'optional int64 quantity = 1;',
  ])
  const back = protoText(stock(z.object({ note: z.string(), quantity: z.int() })), moved)
  expect(fieldsIn(back, 'ReserveRequestBody')).toEqual(['reserved 2, 3, 4;', 'optional string note = 5;', 'optional int64 quantity = 1;'])
})

test('a field whose type changed gets a new number: its old bytes cannot be read', () => {
  const changed = protoText(stock(z.object({ quantity: z.string(), note: z.array(z.string()), gift: z.boolean() })), start)
  expect(fieldsIn(changed, 'ReserveRequestBody')).toEqual([
    'reserved 1, 2;',
    'optional string quantity = 4;',
    'repeated string note = 5;',
    'optional bool gift = 3;',
  ])
})

test('a message that gets another name keeps its numbers: the name does not go over the wire', () => {
  const named = z.object({ gift: z.boolean(), quantity: z.int() }).meta({ title: 'Wish' })
  expect(fieldsIn(protoText(stock(named), start), 'Wish')).toEqual([
    'reserved 2;',
    'optional bool gift = 3;',
    'optional int64 quantity = 1;',
  ])
})

test('what is needed of a caller and what an answer has may differ, and are two messages then', () => {
  const schema = z.object({ id: z.string(), note: z.string().default('') }).meta({ title: 'Note' })
  const operations = { put: { method: 'PUT', path: '/notes', body: schema, response: schema, protocols: ['grpc'] } } as const
  const text = protoText(api('notes', { operations }))
  expect(text).toContain('NoteInput body = 1;')
  expect(text).toContain('returns (Note)')
})

test('what protobuf cannot say is any JSON', () => {
  const body = z.object({
    maybe: z.string().nullable().optional(),
    nothing: z.string().nullable(),
    either: z.union([z.string(), z.number()]),
    rows: z.array(z.array(z.int())),
    counts: z.record(z.string(), z.int()),
    extra: z.record(z.string(), z.unknown()),
    'odd name': z.boolean(),
  })
  expect(fieldsIn(protoText(stock(body)), 'ReserveRequestBody')).toEqual([
    'google.protobuf.Value maybe = 1;',
    'optional string nothing = 2;',
    'google.protobuf.Value either = 3;',
    'repeated google.protobuf.Value rows = 4;',
    'map<string, int64> counts = 5;',
    'google.protobuf.Struct extra = 6;',
    'optional bool odd_name = 7 [json_name = "odd name"];',
  ])
})

test('a contract that cannot be a .proto is refused by name', () => {
  const make = (body: z.ZodType) => () => protoText(stock(body))
  const about = 'cannot make a .proto of the contract "stock-keeper": '
  expect(() => protoText(api('a', { operations: { b: { method: 'GET', path: '/b' } } }))).toThrow('no operation of it has "grpc"')
  expect(make(z.object({ orderId: z.string(), order_id: z.string() }))).toThrow(
    `${about}two fields of "ReserveRequestBody" become "order_id"`,
  )
  const twice = z.object({ a: z.object({ x: z.string() }).meta({ title: 'T' }), b: z.object({ y: z.string() }).meta({ title: 'T' }) })
  expect(make(twice)).toThrow(`${about}two schemas of different fields become the message "T"`)
})

test('a committed .proto is held against the contract: missing, damaged and stale are said', () => {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-proto-'))
  const proto = pathToFileURL(join(folder, 'stock.proto'))
  expect(() => loadProto({ api: stock(), proto })).toThrow(expect.objectContaining({ code: 'ERR_PROTO_MISSING' }))
  expect([writeProto({ api: stock(), proto }), writeProto({ api: stock(), proto })]).toEqual([true, false])
  writeFileSync(proto, readFileSync(proto, 'utf8').replace('// One of: tree, tool', '// What it is'))
  expect(loadProto({ api: stock(), proto }).messages.length).toBeGreaterThan(3)
  const more = stock(z.object({ quantity: z.int(), note: z.string().optional(), gift: z.boolean() }))
  expect(() => loadProto({ api: more, proto })).toThrow(/look for "optional bool gift = 3;"; write it anew with writeProto/)
  writeFileSync(proto, 'syntax = "proto3"; message {')
  expect(() => loadProto({ api: stock(), proto })).toThrow(expect.objectContaining({ code: 'ERR_PROTO_INVALID' }))
  rmSync(folder, { recursive: true })
})

test('a schema that is called like the service has the name of its place: a package has one thing of a name', () => {
  const Order = z.object({ id: z.string() }).meta({ title: 'Order' })
  const orders = api('order', { operations: { get: { method: 'GET', path: '/order', response: Order, protocols: ['grpc'] } } })
  const text = protoText(orders)
  expect(text).toContain('rpc Get(GetRequest) returns (GetResponse);')
  expect(protoText(orders, text)).toBe(text)
})
