import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { configJsonSchema } from './config-json-schema.ts'

const isGood = new Ajv2020({ strict: false }).compile(configJsonSchema())
const good = (file: string) => isGood(parse(file))

describe('the JSON Schema of a gateway file', () => {
  it('is the one that is published; "banyan gateway schema" prints it', () => {
    const published = readFileSync(new URL('../schema/gateway.schema.json', import.meta.url), 'utf8')
    expect(JSON.parse(published)).toEqual(JSON.parse(JSON.stringify(configJsonSchema())))
  })

  it("takes the shop's file", () => {
    const file = readFileSync(new URL('../../../examples/shop/gateway.yaml', import.meta.url), 'utf8')
    expect([good(file), isGood.errors]).toEqual([true, null])
  })

  it('refuses what is misspelled, of the wrong kind, or missing', () => {
    const route = 'routes: [{ path: /, service: a }]'
    expect(good(route)).toBe(true)
    for (const bad of [
      'routes: [{ path: /, service: a, strip_pth: true }]',
      'routes: [{ service: a }]',
      'routes: []',
      `${route}\nlisten: true`,
      `${route}\ndrain_ms: soon`,
      'routes: [{ path: /, service: a, plugins: [{ name: jwtt }] }]',
      'routes: [{ path: /, service: a, plugins: [{ name: rate-limiting, config: { minutes: 1 } }] }]',
      'routes: [{ path: /, service: a, methods: [FETCH] }]',
    ])
      expect([bad, good(bad)]).toEqual([bad, false])
  })

  it('takes variables for any value, and plugins of your own', () => {
    expect(
      good(
        'listen: $' +
          '{PORT:-8080}\ndrain_ms: $' +
          '{DRAIN}\nroutes: [{ path: /, service: a, plugins: [{ name: "shop:tag", config: { tag: x } }] }]',
      ),
    ).toBe(true)
  })
})
