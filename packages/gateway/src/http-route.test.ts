import { describe, expect, it } from 'vitest'
import { parseGatewayFile } from './config-file.ts'
import { GatewayConfigError } from './errors.ts'
import { millisecondsOf } from './http-route.ts'
import { lowerCased, routeTable } from './route-table.ts'

const HEAD = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: shop }
spec:
`
const httpRoute = (spec: string) => `${HEAD}${spec.replace(/^/gm, '  ')}\n`
const routesOf = (text: string) => parseGatewayFile(text, 'gateway.yaml', { env: {} }).routes

/** The lines of what is wrong. */
function problemsOf(text: string): string[] {
  try {
    parseGatewayFile(text, 'gateway.yaml', { env: {} })
  } catch (error) {
    if (error instanceof GatewayConfigError) return error.message.split('\n')
    throw error
  }
  return []
}

describe('an HTTPRoute', () => {
  it('stands beside a gateway file, or alone', () => {
    const file = 'listen: 9000\nroutes: [{ path: /, url: "http://127.0.0.1:1" }]\n'
    const resource = httpRoute('hostnames: [shop.example]\nrules: [{ backendRefs: [{ name: orders, port: 80 }] }]')
    expect(routesOf(`${file}---\n${resource}`).map(({ name, hosts }) => [name, hosts])).toEqual([
      [undefined, undefined],
      ['shop/1', ['shop.example']],
    ])
    expect(routesOf(`${resource}---\n${file}---\n`)).toHaveLength(2)
    expect(routesOf(resource)).toEqual([{ name: 'shop/1', hosts: ['shop.example'], path: '/', service: 'orders' }])
  })

  it('has a route for each match of each rule', () => {
    const routes = routesOf(
      httpRoute(`parentRefs: [{ name: front, sectionName: http, port: 80 }]
rules:
  - matches:
      - path: { type: PathPrefix, value: /login }
      - path: { type: Exact, value: /sign-in }
        method: POST
        headers: [{ name: X-Env, value: canary }, { name: x-env, value: later }, { type: Exact, name: a, value: b }]
        queryParams: [{ name: beta, value: "1" }]
    backendRefs: [{ name: users, port: 8080 }]
  - name: rest
    backendRefs: [{ name: shop, port: 8080 }]`),
    )
    expect(routes).toEqual([
      { name: 'shop/1/1', path: '/login', service: 'users' },
      {
        ...{ name: 'shop/1/2', path: '/sign-in', exact: true, methods: ['POST'], service: 'users' },
        headers: { 'X-Env': 'canary', 'x-env': 'later', a: 'b' },
        query: { beta: '1' },
      },
      { name: 'shop/rest', path: '/', service: 'shop' },
    ])
  })

  it('splits by weight', () => {
    const [route] = routesOf(
      httpRoute(
        'rules: [{ backendRefs: [{ name: old, port: 80, weight: 90 }, { name: new, port: 80, weight: 10 }, { name: off, port: 80, weight: 0 }] }]',
      ),
    )
    expect(route?.split).toEqual([
      { service: 'old', weight: 90 },
      { service: 'new', weight: 10 },
      { service: 'off', weight: 0 },
    ])
  })

  it.each([
    [
      '{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-a, value: "1" }], add: [{ name: x-b, value: "2" }], remove: [x-c] } }',
      { plugins: [{ name: 'request-transformer', config: { remove: ['x-c'], set: { 'x-a': '1' }, append: { 'x-b': '2' } } }] },
    ],
    [
      '{ type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: x-b, value: "2" }] } }',
      { plugins: [{ name: 'response-transformer', config: { append: { 'x-b': '2' } } }] },
    ],
    [
      '{ type: URLRewrite, urlRewrite: { hostname: elsewhere.example, path: { type: ReplaceFullPath, replaceFullPath: /fixed } } }',
      { upstream_host: 'elsewhere.example', replace_path: '/fixed' },
    ],
    [
      '{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /v2 } } }',
      { strip_path: true, upstream_path: '/v2' },
    ],
  ])('has the filter %s', (filter, wanted) => {
    const [route] = routesOf(httpRoute(`rules: [{ filters: [${filter}], backendRefs: [{ name: a, port: 80 }] }]`))
    expect(route).toEqual({ name: 'shop/1', path: '/', service: 'a', ...wanted })
  })

  it('mirrors every method, as Gateway API does', () => {
    const filter = '{ type: RequestMirror, requestMirror: { backendRef: { name: shadow, port: 80 }, percent: 50 } }'
    const [route] = routesOf(httpRoute(`rules: [{ filters: [${filter}], backendRefs: [{ name: a, port: 80 }] }]`))
    expect(route?.mirror).toMatchObject({ service: 'shadow', percent: 50 })
    expect(route?.mirror?.methods).toContain('POST')
  })

  it('redirects', () => {
    const filter =
      '{ type: RequestRedirect, requestRedirect: { scheme: https, hostname: new.example, port: 8443, statusCode: 301, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }'
    const [route] = routesOf(httpRoute(`rules: [{ matches: [{ path: { value: /old } }], filters: [${filter}] }]`))
    expect(route).toEqual({
      ...{ name: 'shop/1', path: '/old' },
      redirect: { scheme: 'https', host: 'new.example', port: 8443, prefix: '/new', status: 301 },
    })
  })

  it.each([
    ['{ request: 10s }', { timeout_ms: 10_000 }],
    ['{ request: 10s, backendRequest: 500ms }', { timeout_ms: 10_000, try_timeout_ms: 500 }],
    ['{ backendRequest: 500ms }', { try_timeout_ms: 500 }],
    ['{ backendRequest: 1m30s }', { timeout_ms: 90_000, try_timeout_ms: 90_000 }],
  ])('has timeouts: %s', (timeouts, wanted) => {
    const [route] = routesOf(httpRoute(`rules: [{ timeouts: ${timeouts}, backendRefs: [{ name: a, port: 80 }] }]`))
    expect(route).toEqual({ name: 'shop/1', path: '/', service: 'a', ...wanted })
  })

  it('counts a duration by its parts, and takes none for none', () => {
    expect(['1h', '1m30s', '2s500ms', '7ms', '0s'].map(millisecondsOf)).toEqual([3_600_000, 90_000, 2_500, 7, 86_400_000])
  })

  it.each([
    ['rules: [{ backendRef: [] }]', /^gateway\.yaml:5:13: unknown key "backendRef" in rule 1 .* did you mean "backendRefs"\?$/],
    ['rules: [{ matches: [{ path: { type: RegularExpression, value: /a } }] }]', /"RegularExpression", wanted one of PathPrefix, Exact/],
    ['rules: [{ matches: [{ headers: [{ type: RegularExpression, name: a, value: b }] }] }]', /"RegularExpression", wanted one of Exact/],
    [
      'rules: [{ matches: [{ headers: [{ name: a, value: "*" }] }], backendRefs: [{ name: a }] }]',
      /"value" .* is "\*", wanted a text other than "\*"/,
    ],
    ['rules: [{ matches: [{ queryParams: [{ name: a, value: "*" }] }], backendRefs: [{ name: a }] }]', /wanted a text other than "\*"/],
    [
      'rules: [{ filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [a] }, responseHeaderModifier: { remove: [b] } }], backendRefs: [{ name: a }] }]',
      /has the type RequestHeaderModifier and "responseHeaderModifier"/,
    ],
    [
      'rules: [{ matches: [{ path: { value: "/a/{b}" } }], backendRefs: [{ name: a }] }]',
      /wanted a path that begins with "\/", without "\{" and "\}"/,
    ],
    ['rules: [{ backendRefs: [{ name: a, namespace: other }] }]', /names the service "a" in the namespace "other"/],
    ['rules: [{ backendRefs: [{ name: a, kind: Gateway }] }]', /"Gateway", wanted one of Service/],
    ['rules: [{ timeouts: { request: 10 }, backendRefs: [{ name: a }] }]', /is 10, wanted a duration as in "10s"/],
    ['rules: [{ filters: [{ type: URLRewrite }], backendRefs: [{ name: a }] }]', /has the type URLRewrite without "urlRewrite"/],
    ['rules: [{ filters: [{ type: ExtensionRef }], backendRefs: [{ name: a }] }]', /"ExtensionRef", wanted one of RequestHeaderModifier/],
    ['rules:\n  - {}', /^gateway\.yaml:6:7: route 1 says nowhere to go/],
    ['rules:\n  - backendRefs: [{ name: a, weight: 0 }]', /^gateway\.yaml:6:7: route 1 has only weights of 0/],
  ])('says what is wrong with %s', (spec, message) => {
    expect(problemsOf(httpRoute(spec))).toEqual([expect.stringMatching(message)])
  })

  it('is the only kind of resource that is read', () => {
    expect(problemsOf('apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\nspec: { rules: [{}] }\n')).toEqual([
      expect.stringMatching(/^gateway\.yaml:1:13: "apiVersion" of HTTPRoute "x" is "v1", wanted one of gateway\.networking\.k8s\.io\/v1/),
      expect.stringMatching(/^gateway\.yaml:2:7: "kind" of HTTPRoute "x" is "ConfigMap", wanted one of HTTPRoute$/),
    ])
    expect(problemsOf('routes: [{ path: /, service: a }]\n---\nroutes: [{ path: /, service: a }]\n')).toEqual([
      expect.stringMatching(/^gateway\.yaml:3:1: a second document that is no resource of Gateway API/),
    ])
  })

  it('takes precedence as Gateway API says: host, exact path, longer path, method, headers, query, order', () => {
    const matches = [
      '{ path: { value: /a } }',
      '{ path: { value: /a }, queryParams: [{ name: q, value: "1" }] }',
      '{ path: { value: /a }, headers: [{ name: h, value: "1" }] }',
      '{ path: { value: /a }, headers: [{ name: h, value: "1" }, { name: i, value: "1" }] }',
      '{ path: { value: /a }, method: GET }',
      '{ path: { value: /a/b } }',
      '{ path: { type: Exact, value: /a/b } }',
    ]
    const of = (name: string, host: string) =>
      `${HEAD.replace('shop', name)}  hostnames: [${host}]\n  rules: [{ matches: [${matches.join(', ')}], backendRefs: [{ name: x }] }]\n`
    const text = ['"*.example"', 'shop.example'].map((host, index) => of(`r${index}`, host)).join('---\n')
    const keys = routesOf(text).map(({ exact = false, methods = [], hosts = [], headers, ...route }) => ({
      ...{ ...route, exact, methods, hosts, headers: lowerCased(headers) },
    }))
    const order = [7, 6, 5, 4, 3, 2, 1]
    expect(routeTable(keys).ranked.map(({ name }) => name)).toEqual(['r1', 'r0'].flatMap((one) => order.map((n) => `${one}/1/${n}`)))
  })
})
