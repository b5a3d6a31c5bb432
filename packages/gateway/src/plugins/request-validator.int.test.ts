import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Echo, echo, rawRequest, start } from '../test/harness.ts'

const DOCUMENT = `openapi: 3.1.0
info: { title: Shop, version: "1" }
paths:
  /orders:
    parameters: [{ $ref: "#/components/parameters/Tenant" }]
    get:
      parameters:
        - { name: limit, in: query, schema: { type: integer, minimum: 1, maximum: 100 } }
        - { name: state, in: query, schema: { type: array, items: { enum: [open, done] } } }
        - { name: ids, in: query, explode: false, schema: { type: array, items: { type: integer }, maxItems: 3 } }
        - { name: filter, in: query, content: { application/json: { schema: { type: object, required: [by] } } } }
        - { name: session, in: cookie, schema: { type: string, pattern: "^[a-z]+$" } }
      responses: { "200": { description: ok } }
    post:
      requestBody:
        required: true
        content:
          application/json: { schema: { $ref: "#/components/schemas/Order" } }
          text/*: {}
      responses: { "201": { description: made } }
  /orders/{orderId}:
    get:
      parameters: [{ name: orderId, in: path, required: true, schema: { type: integer } }]
      responses: { "200": { description: ok } }
  /orders/latest:
    get: { responses: { "200": { description: ok } } }
components:
  parameters:
    Tenant: { name: x-tenant, in: header, required: true, schema: { type: string, minLength: 2 } }
  schemas:
    Order:
      type: object
      required: [items]
      additionalProperties: false
      properties:
        items: { type: array, minItems: 1, items: { $ref: "#/components/schemas/Item" } }
        note: { type: [string, "null"] }
    Item:
      type: object
      required: [productId, quantity]
      properties: { productId: { type: string }, quantity: { type: integer, minimum: 1 }, parts: { type: array, items: { $ref: "#/components/schemas/Item" } } }
`

async function validated(config: { base_path?: string; unknown?: 'refuse' | 'pass' } = {}, document = DOCUMENT) {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-openapi-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'shop.yaml')
  writeFileSync(file, document)
  const plugins = [{ name: 'request-validator' as const, config: { openapi: file, ...config } }]
  const made = { routes: [{ path: '/', url: (await echo()).url, max_body_bytes: 200_000, plugins }] }
  const running = await start(made)
  const send = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(new URL(path, running.url), { ...init, headers: { 'x-tenant': 'shop', ...init.headers } })
    return {
      status: answer.status,
      body: (await answer.json()) as Echo & { code: string; detail: string; errors: { in: string; at: string; message: string }[] },
    }
  }
  const post = (body: string, type = 'application/json') => send('/orders', { method: 'POST', body, headers: { 'content-type': type } })
  return { ...running, file, made, send, post }
}

const GOOD = '{ "items": [{ "productId": "rake", "quantity": 2 }] }'

describe('request-validator', () => {
  it('lets good requests through, byte for byte', async () => {
    const { send, post } = await validated()
    const { status, body } = await post(GOOD)
    expect([status, body.body]).toEqual([200, GOOD])
    const long = JSON.stringify({ items: Array.from({ length: 3_000 }, () => ({ productId: 'a long name of a product', quantity: 1 })) })
    expect((await post(long)).body.body).toBe(long)
    expect((await post('anything', 'text/plain')).status).toBe(200)
    expect(
      (await send('/orders?limit=10&state=open&state=done&ids=1,2&filter={"by":1}', { headers: { cookie: 'session=abc' } })).status,
    ).toBe(200)
    expect((await send('/orders/17')).status).toBe(200)
    expect((await send('/orders/latest')).status).toBe(200)
  })

  it.each([
    ['/orders?limit=0', { in: 'query', at: 'limit', message: 'must be >= 1' }],
    ['/orders?limit=many', { in: 'query', at: 'limit', message: 'must be integer' }],
    ['/orders?limit=1&limit=2', { in: 'query', at: 'limit', message: 'stands more than once' }],
    ['/orders?state=lost', { in: 'query', at: 'state', message: 'must be equal to one of the allowed values: ["open","done"]' }],
    ['/orders?ids=1,2,3,4', { in: 'query', at: 'ids', message: 'must NOT have more than 3 items' }],
    ['/orders?filter={', { in: 'query', at: 'filter', message: 'is not JSON' }],
    ['/orders?filter={}', { in: 'query', at: 'filter', message: "must have required property 'by'" }],
    ['/orders/seventeen', { in: 'path', at: 'orderId', message: 'must be integer' }],
  ])('refuses %s', async (path, error) => {
    const { send } = await validated()
    expect(await send(path)).toMatchObject({ status: 400, body: { code: 'ERR_REQUEST_SCHEMA', errors: [error] } })
  })

  it('refuses a header that is missing, and a cookie that is wrong', async () => {
    const { send } = await validated()
    const { body } = await send('/orders', { headers: { 'x-tenant': '', cookie: 'a=b; session=A1' } })
    expect(body.errors).toEqual([
      { in: 'header', at: 'x-tenant', message: 'must NOT have fewer than 2 characters' },
      { in: 'cookie', at: 'session', message: 'must match pattern "^[a-z]+$"' },
    ])
  })

  it('refuses bodies, saying all that is wrong, up to twenty things', async () => {
    const { post } = await validated()
    expect((await post('{ "items": [{ "productId": 1, "quantity": "2" }], "extra": 1 }')).body.errors).toEqual([
      { in: 'body', at: '', message: 'has "extra", which is not known' },
      { in: 'body', at: '/items/0/productId', message: 'must be string' },
      { in: 'body', at: '/items/0/quantity', message: 'must be integer' },
    ])
    expect((await post('{')).body).toMatchObject({ status: 400, errors: [{ in: 'body', at: '', message: 'is not JSON in UTF-8' }] })
    expect((await post('')).body).toMatchObject({ status: 400, errors: [{ in: 'body', at: '', message: 'is missing' }] })
    const many = await post(JSON.stringify({ items: Array.from({ length: 100 }, () => ({})) }))
    expect([many.body.errors.length, many.body.detail]).toEqual([20, expect.stringMatching(/and 19 more$/)])
    expect(await post(GOOD, 'application/xml')).toMatchObject({
      status: 415,
      body: { code: 'ERR_BODY_TYPE', title: 'Unsupported Media Type', detail: expect.stringContaining('application/json') },
    })
  })

  it('says the first thing only of a long body: to find all would take as long as a client likes', async () => {
    const { post } = await validated({}, DOCUMENT.replace('minItems: 1', 'maxItems: 5000, uniqueItems: true'))
    const items = Array.from({ length: 8_000 }, (_, n) => ({ productId: n }))
    expect((await post(JSON.stringify({ items }))).body.errors).toEqual([
      { in: 'body', at: '/items', message: 'must NOT have more than 5000 items' },
    ])
  })

  it('refuses a body of two types: which of them a service would go by is a matter of luck', async () => {
    const { port } = await validated()
    const raw = await rawRequest(
      port,
      'POST /orders HTTP/1.1\r\nHost: a\r\nX-Tenant: shop\r\nConnection: close\r\nContent-Length: 1\r\n',
      'Content-Type: text/plain\r\nContent-Type: application/json\r\n\r\n{',
    )
    expect(raw).toMatch(/^HTTP\/1\.1 415 /)
    expect(raw).toContain('the request has more than one Content-Type')
  })

  it('looks at the cookies of all Cookie headers', async () => {
    const { port } = await validated()
    const raw = await rawRequest(
      port,
      'GET /orders HTTP/1.1\r\nHost: a\r\nX-Tenant: shop\r\nConnection: close\r\nCookie: a=b\r\nCookie: session=A1\r\n\r\n',
    )
    expect(raw).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('sends no long name back', async () => {
    const { post } = await validated()
    const { body } = await post(JSON.stringify({ items: [{ productId: 'rake', quantity: 1 }], ['x'.repeat(100_000)]: 1 }))
    expect(body.errors).toEqual([{ in: 'body', at: '', message: `has "${'x'.repeat(200)}...", which is not known` }])
  })

  it('stands bodies that nest deeper than any stack', async () => {
    const { post } = await validated()
    const deep = `{"items":[${'{"productId":"a","quantity":1,"parts":['.repeat(4_000)}${']}'.repeat(4_000)}]}`
    expect([200, 400]).toContain((await post(deep)).status)
    expect((await post(GOOD)).status).toBe(200)
  })

  it('refuses what the document does not know, or lets it pass', async () => {
    const { send } = await validated()
    expect(await send('/other')).toMatchObject({ status: 404, body: { code: 'ERR_OPERATION_UNKNOWN' } })
    expect(await send('/orders', { method: 'DELETE' })).toMatchObject({ status: 405 })
    expect((await (await validated({ unknown: 'pass' })).send('/other')).status).toBe(200)
  })

  it('takes the front of a path off', async () => {
    const { send } = await validated({ base_path: '/api' })
    expect((await send('/api/orders/17')).status).toBe(200)
    expect((await send('/orders/17')).status).toBe(404)
    expect((await send('/apiorders/17')).status).toBe(404)
  })

  it('is made anew when the document has changed, and a bad one changes nothing', async () => {
    const { send, file, gateway, made } = await validated()
    const again = { drain_ms: 200, linger_ms: 0, ...made }
    writeFileSync(file, DOCUMENT.replace('maximum: 100', 'maximum: 5'))
    await gateway.reload(again)
    expect((await send('/orders?limit=10')).status).toBe(400)
    writeFileSync(file, DOCUMENT.replace('openapi: 3.1.0', 'openapi: 3.0.3'))
    await expect(gateway.reload(again)).rejects.toThrow('"openapi" is "3.0.3", wanted 3.1.x')
    rmSync(file)
    await expect(gateway.reload(again)).rejects.toMatchObject({ code: 'ERR_FILE_UNREADABLE' })
    expect((await send('/orders?limit=10')).status).toBe(400)
    expect((await send('/orders?limit=5')).status).toBe(200)
  })

  it.each([
    ['$ref: "#/components/schemas/Item"', '$ref: "other.yaml#/Item"', /the schema at .* cannot be used|other\.yaml/],
    ['$ref: "#/components/parameters/Tenant"', '$ref: "#/components/parameters/Nobody"', /is nothing \(\/components\/parameters\/Nobody\)/],
    [
      '$ref: "#/components/parameters/Tenant"',
      '$ref: "#/components/parameters/100%"',
      /"#\/components\/parameters\/100%", which is no JSON pointer/,
    ],
    ['$ref: "#/components/parameters/Tenant"', '$ref: "#/constructor/prototype"', /is nothing \(\/constructor\/prototype\)/],
    ['$ref: "#/components/parameters/Tenant"', '$ref: "https://elsewhere.example/x"', /only "#\/\.\.\." of the same document is read/],
    [
      'in: query, schema: { type: integer',
      'in: nowhere, schema: { type: integer',
      /needs "name" and "in": one of path, query, header, cookie/,
    ],
    ['minimum: 1, maximum: 100', 'minimum: one', /the schema at \/paths\/~1orders\/get\/parameters\/0\/schema cannot be used/],
    ['/orders/latest:', '/orders/x{latest}:', /a part of a segment/],
    ['paths:', 'ways:', /it has no "paths"/],
    ['openapi: 3.1.0', 'openapi: [', /not valid YAML/],
  ])('is refused with %s as %s', async (from, to, message) => {
    await expect(validated({}, DOCUMENT.replace(from, to))).rejects.toThrow(message)
  })
})
