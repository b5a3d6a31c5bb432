// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is how a gateway file names a variable
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { defineGateway, parseGatewayFile } from './config-file.ts'
import { GatewayConfigError } from './errors.ts'

const EXAMPLE = `listen: 8080
routes:
  - path: /api/orders
    service: order-service          # looked up in discovery; \`url:\` for a fixed one
    strip_path: true
    plugins:
      - name: jwt
        config: { jwks: http://127.0.0.1:9001/.well-known/jwks.json, audience: shop }
      - name: rate-limiting
        config: { minute: 100 }
  - path: /api/products
    service: product-service
    strip_path: true
    plugins:
      - name: rate-limiting
        config: { minute: 500 }
  - path: /api/order-overview/{orderId}
    aggregate:
      order:     { service: order-service,     path: "/orders/{orderId}", required: true }
      payment:   { service: payment-service,   path: "/payments/order/{orderId}" }
      inventory: { service: inventory-service, path: "/reservations/order/{orderId}" }
  - path: /
    url: http://127.0.0.1:9100      # the legacy monolith: everything else
`

/** The lines of what is wrong. */
function problemsOf(text: string, env: Record<string, string> = {}): string[] {
  try {
    parseGatewayFile(text, 'gateway.yaml', { env })
  } catch (error) {
    if (error instanceof GatewayConfigError) return error.message.split('\n')
    throw error
  }
  return []
}

const withRoute = (lines: string) => `routes:\n  - ${lines.trim().split('\n').join('\n    ')}\n`

describe('gateway file', () => {
  it('takes the example of the design as it stands', () => {
    const config = parseGatewayFile(EXAMPLE, 'gateway.yaml', { env: {} })
    expect(config.listen).toBe(8080)
    expect(config.routes.map(({ path }) => path)).toEqual(['/api/orders', '/api/products', '/api/order-overview/{orderId}', '/'])
    expect(config.routes[0]?.plugins?.[0]).toEqual({
      name: 'jwt',
      config: { jwks: 'http://127.0.0.1:9001/.well-known/jwks.json', audience: 'shop' },
    })
    expect(Object.keys(config.routes[2]?.aggregate ?? {})).toEqual(['order', 'payment', 'inventory'])
  })

  it.each([
    [
      'request_timeout_ms: 5000',
      'gateway.yaml:1:1: the file has a "request_timeout_ms" of 5000, less than its "headers_timeout_ms" of 10000',
    ],
    [
      'h2c: true\ntls: { cert: a, key: b }',
      'gateway.yaml:1:1: the file has "h2c", which is without TLS, and "tls"; wanted "http2: true" in "tls"',
    ],
  ])('refuses %s', (settings, message) => {
    expect(problemsOf(`${settings}\nroutes: [{ path: /, service: a }]\n`)).toEqual([message])
  })

  it.each([
    ['split: [{ service: a, weight: 0 }]', 'has only weights of 0 in its "split"; wanted one place at least that requests go to'],
    ['split: [{ weight: 1 }]', 'share 1 in "split" of route 1 says nowhere to go; wanted one of "service" and "url"'],
    ['redirect: { status: 301 }', 'sends the client to where it is; wanted "scheme", "host", "port", "path" or "prefix"'],
    ['redirect: { path: /a, prefix: /b }', 'has "path" and "prefix"; wanted one of them'],
    ['redirect: { host: a, status: 304 }', 'is 304, wanted one of 301, 302, 303, 307, 308'],
    ['redirect: { host: a }\npreserve_host: true', 'is a redirect, where "preserve_host" means nothing'],
    ['service: a\nmirror: { service: b, url: "http://127.0.0.1:1" }', 'has "service" and "url"; wanted one of them'],
    ['service: a\nreplace_path: "/{x}"', 'uses "{x}" in "replace_path", but its path has none'],
    ['service: a\nreplace_path: /b\nstrip_path: true', 'has "replace_path" and "strip_path"; wanted one of them'],
    ['service: a\nupstream_host: b\npreserve_host: true', 'has "upstream_host" and "preserve_host"; wanted one of them'],
    ['service: a\nprotocol: http3', 'is "http3", wanted one of http1, http2'],
  ])('says what is wrong with a route that has %s', (lines, message) => {
    expect(problemsOf(withRoute(`path: /a\n${lines}`))).toEqual([expect.stringContaining(message)])
  })

  it("takes the shop's file", () => {
    const file = new URL('../../../examples/shop/gateway.yaml', import.meta.url)
    const config = parseGatewayFile(readFileSync(file, 'utf8'), 'gateway.yaml', { env: { MONOLITH_URL: 'http://127.0.0.1:9100' } })
    expect(config.routes.at(-1)?.url).toBe('http://127.0.0.1:9100')
  })

  it('takes every example of the README', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
    const examples = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, example = '']) => example)
    expect(examples.length).toBeGreaterThan(0)
    for (const example of examples) expect(problemsOf(example)).toEqual([])
  })

  it('names line, column, key and the nearest right key', () => {
    expect(
      problemsOf(
        'listen: 8080\nroutes:\n  - path: /a\n    url: http://127.0.0.1:1\n  - path: /b\n    url: http://127.0.0.1:1\n    strip_pth: true\n',
      ),
    ).toEqual(['gateway.yaml:7:5: unknown key "strip_pth" in route 2; did you mean "strip_path"?'])
  })

  it('lists every problem in the order of the file', () => {
    const text = `lissen: 1
routes:
  - path: api
    service: orders
    retries: many
  - path: /x
    methods: [GTE]
    url: ftp://x
    plugins: [{ name: jtw }, { name: rate-limiting, config: { minut: 3 } }]
`
    expect(problemsOf(text)).toEqual([
      'gateway.yaml:1:1: unknown key "lissen" in the file; did you mean "listen"?',
      'gateway.yaml:3:11: "path" of route 1 is "api", wanted a path with plain segments and {parameters}, as in "/api/orders/{orderId}"',
      'gateway.yaml:5:14: "retries" of route 1 is "many", wanted a whole number from 0 to 5',
      'gateway.yaml:7:15: method 1 in "methods" of route 2 is "GTE", wanted one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS; did you mean "GET"?',
      'gateway.yaml:8:10: "url" of route 2 is "ftp://x", wanted an address without query, as in "http://127.0.0.1:9100"',
      'gateway.yaml:9:23: unknown plugin "jtw" as plugin 1 of route 2; did you mean "jwt"?',
      'gateway.yaml:9:63: unknown key "minut" in the config of plugin "rate-limiting" of route 2; did you mean "minute"?',
    ])
  })

  it('says what a plugin jwt without a key set needs', () => {
    const [problem, ...more] = problemsOf(withRoute('path: /a\nservice: a\nplugins:\n  - name: jwt'))
    expect(problem).toMatch(/^gateway\.yaml:5:9: the config of plugin "jwt" of route 1 needs "jwks": .*jwks: "https:.* top-level "jwt:"$/)
    expect(more).toEqual([])
  })

  it('completes a plugin jwt from the top of the file; what the route says goes first', () => {
    const config = parseGatewayFile(
      `jwt: { jwks: "service://users/keys", audience: shop }\n${withRoute('path: /a\nservice: a\nplugins:\n  - name: jwt\n    config: { audience: admin }')}`,
      'f',
      { env: {} },
    )
    expect(config.routes[0]?.plugins?.[0]?.config).toEqual({ jwks: 'service://users/keys', audience: 'admin' })
  })

  it('takes the numbers of variables at the top of the file as numbers, for plugins too', () => {
    const config = parseGatewayFile(
      `jwt: { jwks: "service://users/keys", clock_skew_s: "\${SKEW}" }\n${withRoute('path: /a\nservice: a\nplugins: [{ name: jwt }]')}`,
      'gateway.yaml',
      { env: { SKEW: '7' } },
    )
    expect(config.routes[0]?.plugins?.[0]?.config).toEqual({ jwks: 'service://users/keys', clock_skew_s: 7 })
  })

  it('takes no password in the address of a key set, where it would be of no use but in logs', () => {
    const [problem] = problemsOf(`jwt: { jwks: "https://eva:secret@users.example/keys" }\n${withRoute('path: /a\nservice: a')}`)
    expect(problem).toMatch(
      /"jwks" of "jwt" is "https:\/\/\*\*\*@users.example\/keys", wanted http\(s\):\/\/\.\.\. or service:\/\/name\/path/,
    )
  })

  it('says no secret when it says what is wrong with it', () => {
    const text = `admin_token: "\${TOKEN}"\nredis: "\${REDIS}"\n${withRoute('path: /a\nservice: a')}`
    expect(problemsOf(text, { TOKEN: 'too short', REDIS: 'http://:sec/ret@host/1' })).toEqual([
      expect.stringMatching(/^gateway.yaml:1:14: "admin_token" of the file is a text of 9 characters, wanted at least 16 characters/),
      expect.stringMatching(/^gateway.yaml:2:8: "redis" of the file is "http:\/\/\*\*\*@host\/1", wanted the address of a Redis/),
    ])
  })

  it('says no secret that is a number either', () => {
    expect(problemsOf(`admin_token: 1234567890123456\n${withRoute('path: /a\nservice: a')}`)).toEqual([
      expect.stringMatching(/^gateway.yaml:1:14: "admin_token" of the file is no text, wanted at least 16 characters/),
    ])
  })

  it('checks the top-level jwt once, and as itself', () => {
    expect(problemsOf(`jwt: { jwks: nowhere }\n${withRoute('path: /a\nservice: a\nplugins: [{ name: jwt }]')}`)).toEqual([
      'gateway.yaml:1:14: "jwks" of "jwt" is "nowhere", wanted http(s)://... or service://name/path',
    ])
  })

  it.each([
    ['path: /a', 'says nowhere to go; wanted one of "service" and "url" and "aggregate" and "split" and "redirect"'],
    ['path: /a\nservice: a\nurl: http://x', 'has "service" and "url"; wanted one of them'],
    ['path: /a\nservice: a\nupstream_path: /b', 'has "upstream_path" without "strip_path: true"'],
    ['path: /a/{id}\naggregate:\n  x: { service: a, path: "/b/{idd}" }', 'uses "{idd}" in part "x", but its path has {id}'],
    ['path: /a\nservice: a\nstrip_path: true\nupstream_path: /{id}', 'uses "{id}" in "upstream_path", but its path has none'],
    ['path: /a/{x}/{x}\nservice: a', 'has "{x}" twice in its path'],
    ['path: /a\nstrip_path: true\naggregate:\n  x: { service: a, path: /b }', 'is an aggregate, where "strip_path" means nothing'],
    ['path: /a\nmethods: [POST]\naggregate:\n  x: { service: a, path: /b }', 'is an aggregate, which answers GET and HEAD, not POST'],
    ['path: /a\naggregate:\n  _parts: { service: a, path: /b }', '"_parts" in "aggregate" of route 1 cannot name a part'],
    ['path: /a\nservice: a\ntimeout_ms: 5\ntry_timeout_ms: 6', 'has a "try_timeout_ms" of 6, more than its "timeout_ms" of 5'],
    ['path: /a/../b\nservice: a', '"path" of route 1 is "/a/../b"'],
    ['path: /a{id}\nservice: a', '"path" of route 1 is "/a{id}"'],
    ['path: /a\nservice: a\nplugins: [{ name: rate-limiting }]', 'has no limit; wanted "second", "minute", "hour" or "day"'],
    ['path: /a\nservice: a\nplugins: jwt', '"plugins" of route 1 is "jwt", wanted a list of plugins'],
    ['path: /a\nservice: a\nplugins: [{ name: jwt, confg: {} }]', 'unknown key "confg" in plugin 1 of route 1; did you mean "config"?'],
    ['path: /a\nservice:\n', '"service" of route 1 is empty'],
  ])('refuses %j', (lines, wanted) => {
    const problems = problemsOf(withRoute(lines))
    expect(problems.join('\n')).toContain(wanted)
    expect(problems[0]).toMatch(/^gateway\.yaml:\d+:\d+: /)
  })

  it.each([
    ['subject', '"jwt", "key-auth", "mtls-auth"'],
    ['claim, claim: tenant', '"jwt"'],
  ])('refuses a limit by what nobody has found out before it: %s', (by, wanted) => {
    const limit = `{ name: rate-limiting, config: { minute: 1, by: ${by} } }`
    const jwt = '{ name: jwt, config: { jwks: "https://a/" } }'
    const message = `the file has a rate-limiting "by: ${by.split(',')[0]}" in route 1 that no plugin before it tells; wanted ${wanted} before it`
    const route = (plugins: string) => withRoute(`path: /a\nservice: a\nplugins: [${plugins}]`)
    expect(problemsOf(route(limit))).toEqual([`gateway.yaml:2:5: ${message}`])
    expect(problemsOf(`plugins: [${limit}]\n${route(jwt)}`)).toEqual([`gateway.yaml:3:5: ${message}`])
    expect(problemsOf(route(`${jwt}, ${limit}`))).toEqual([])
  })

  it.each(['', 'tls: { cert: a.pem, key: b.pem, ca: c.pem }\n'])(
    'refuses mtls-auth where no client is asked for a certificate: %j',
    (tls) => {
      expect(problemsOf(`${tls}${withRoute('path: /a\nservice: a\nplugins: [{ name: mtls-auth }]')}`)).toEqual([
        `gateway.yaml:${tls === '' ? 2 : 3}:5: the file has "mtls-auth" in route 1, but asks no client for a certificate; wanted "client_certificate: optional" or "required" in "tls"`,
      ])
    },
  )

  it('refuses two routes that no request tells apart, and names both', () => {
    expect(problemsOf('routes:\n  - { path: /a, service: a }\n  - { path: /b, service: a }\n  - { path: /a/, service: b }\n')).toEqual([
      'gateway.yaml:4:5: the file has two routes for the same requests, 1 and 3',
    ])
  })

  it('finds them under another name of a parameter, too', () => {
    const routes = ['/a/{id}/b', '/a/{id}', '/a/{other}/b/'].map((path) => `  - { path: '${path}', service: a }\n`)
    expect(problemsOf(`routes:\n${routes.join('')}`)).toEqual(['gateway.yaml:4:5: the file has two routes for the same requests, 1 and 3'])
  })

  it('takes a file with more values than aliases may make, as long as no alias makes them', () => {
    const hosts = Array.from({ length: 100_001 }, (_, index) => `h${index}.example`).join(', ')
    expect(parseGatewayFile(`routes: [{ path: /, service: a, hosts: [${hosts}] }]`, 'gateway.yaml').routes).toHaveLength(1)
  })

  it('checks 10,000 routes without comparing each with each, which took minutes', () => {
    const routes = Array.from({ length: 10_000 }, (_, index) => ({ path: `/api/service-${index}`, service: 'a' }))
    expect(defineGateway({ routes }).routes).toHaveLength(10_000)
    const before = performance.now()
    const ofHosts = routes.map(({ service }, index) => ({ path: '/', service, hosts: [`shop-${index}.example`] }))
    expect(defineGateway({ routes: ofHosts }).routes).toHaveLength(10_000)
    expect(performance.now() - before).toBeLessThan(10_000)
  })

  it.each([
    ['routes: [', 'not valid YAML'],
    ['routes:\n - path: /\n   url: http://x\n   url: http://y\n', 'gateway.yaml:4:4: not valid YAML: Map keys must be unique'],
    ['', 'the file is empty'],
    ['# nothing', 'the file is empty'],
    ['hello', 'the file is "hello"'],
    ['listen: 80', 'the file needs "routes"'],
    ['routes: []', '"routes" of the file is empty'],
    ['routes: &a [*a]', 'the aliases make the file too large or endless'],
    ['listen: 70000\nroutes: [{path: /, url: "http://x"}]', '"listen" of the file is 70000, wanted a whole number from 0 to 65535'],
  ])('says what is wrong with %j', (text, wanted) => {
    expect(problemsOf(text)[0]).toContain(wanted)
  })

  it('stops an alias bomb', () => {
    const lines = ['a: &a [x,x,x,x,x,x,x,x,x,x]']
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg'])
      lines.push(`${to}: &${to} [${Array.from({ length: 10 }, () => `*${from}`).join(',')}]`)
    expect(problemsOf(lines.join('\n')).join('\n')).toContain('the aliases make the file too large')
  })
})

describe('variables in a gateway file', () => {
  const text =
    'listen: ${PORT:-8080}\nmax_body_bytes: ${LIMIT}\nroutes:\n  - path: /\n    url: http://${HOST:-127.0.0.1}:${MONOLITH_PORT}/base\n'

  it('are filled in, and may stand for numbers', () => {
    const config = parseGatewayFile(text, 'f', { env: { LIMIT: '1000', MONOLITH_PORT: '9100', HOST: '' } })
    expect(config).toMatchObject({ listen: 8080, max_body_bytes: 1000, routes: [{ url: 'http://127.0.0.1:9100/base' }] })
  })

  it('that are missing are each an error at their line', () => {
    expect(problemsOf(text)).toEqual([
      'gateway.yaml:2:17: the environment variable "LIMIT" is not set; set it, or give a default as in ${LIMIT:-default}',
      'gateway.yaml:5:10: the environment variable "MONOLITH_PORT" is not set; set it, or give a default as in ${MONOLITH_PORT:-default}',
    ])
  })

  it('are checked like what they stand for', () => {
    expect(problemsOf(text, { LIMIT: 'much', MONOLITH_PORT: '9100' })).toEqual([
      `gateway.yaml:2:17: "max_body_bytes" of the file is "much", wanted a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`,
    ])
  })

  it('are written with two dollars to stay as they are; a bad one is an error', () => {
    const config = parseGatewayFile('routes: [{ path: /, url: "http://x", name: "$${NAME} $5" }]', 'f', { env: {} })
    expect(config.routes[0]?.name).toBe('${NAME} $5')
    expect(problemsOf('routes: [{ path: /, url: "http://x", name: "${1X}" }]')[0]).toContain('cannot read "${1X}"; wanted ${NAME}')
  })

  it('do not turn a text that is no variable into a number', () => {
    expect(problemsOf('max_body_bytes: "12"\nroutes: [{ path: /, url: "http://x" }]')[0]).toContain('"max_body_bytes" of the file is "12"')
  })
})

describe('defineGateway', () => {
  it('gives back what the file would', () => {
    const twin = defineGateway({
      listen: 8080,
      routes: [
        { path: '/api/orders', service: 'order-service', strip_path: true, plugins: [{ name: 'rate-limiting', config: { minute: 100 } }] },
        { path: '/', url: 'http://127.0.0.1:9100' },
      ],
    })
    const file = parseGatewayFile(
      `listen: 8080\nroutes:\n  - { path: /api/orders, service: order-service, strip_path: true, plugins: [{ name: rate-limiting, config: { minute: 100 } }] }\n  - { path: /, url: "http://127.0.0.1:9100" }`,
      'f',
      { env: {} },
    )
    expect(twin).toEqual(file)
  })

  it('is checked by the same rules', () => {
    // @ts-expect-error a key that does not exist
    expect(() => defineGateway({ routes: [{ path: '/', url: 'http://x', strip_pth: true }] })).toThrow(
      'gateway config: unknown key "strip_pth" in route 1; did you mean "strip_path"?',
    )
  })
})
