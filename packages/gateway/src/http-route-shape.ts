import { type DictionaryShape, integer, list, type MapShape, oneNumberOf, oneOf, type TextShape, text } from './config-shape.ts'

/** @see https://gateway-api.sigs.k8s.io/geps/gep-2257, "Duration" */
const duration = text('a duration as in "10s", "500ms" or "1m30s"', (value) => /^(?:\d{1,5}(?:h|m|s|ms)){1,4}$/.test(value))
const headerName = text('the name of a header', (value) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value))
const word = text('a text')
const words: DictionaryShape = { kind: 'dictionary', of: word, item: 'entry', key: text('a name') }
const path = text('a path that begins with "/", without "{" and "}"', (value) => /^\/[^{}]*$/.test(value))
const hostname = text('a host name in lower case, as in "shop.example" or "*.shop.example"')
const port = integer(1, 65_535)
/** Matching by patterns is not there: a pattern can take as long as it likes. */
const exactly = oneOf('Exact')

/** In a route of the file "*" stands for any value; in Gateway API for itself, which nobody means. */
const plainValue = text('a text other than "*"', (value) => value !== '*')

const namedMatches = (item: string, name: TextShape) =>
  list(
    {
      kind: 'map',
      keys: {
        type: { shape: exactly, about: 'Exact, which is the default' },
        name: { shape: name, required: true, about: 'what is asked for' },
        value: { shape: plainValue, required: true, about: 'its value' },
      },
    },
    item,
    1,
  )

const match: MapShape = {
  kind: 'map',
  keys: {
    path: {
      shape: {
        kind: 'map',
        keys: {
          type: { shape: oneOf('PathPrefix', 'Exact'), about: 'PathPrefix, which is the default, or Exact' },
          value: { shape: path, about: 'the path; "/" when it is left out' },
        },
      },
      about: 'the path of a request',
    },
    headers: { shape: namedMatches('header', headerName), about: 'headers that a request must have' },
    queryParams: { shape: namedMatches('parameter', word), about: 'parameters that its query must have' },
    method: { shape: oneOf('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'), about: 'its method' },
  },
}

const headerValues = list(
  {
    kind: 'map',
    keys: {
      name: { shape: headerName, required: true, about: 'which header' },
      value: { shape: word, required: true, about: 'its value' },
    },
  },
  'header',
)

const headerFilter: MapShape = {
  kind: 'map',
  keys: {
    set: { shape: headerValues, about: 'headers in place of what is there' },
    add: { shape: headerValues, about: 'headers added to what is there' },
    remove: { shape: list(headerName, 'header'), about: 'headers that go' },
  },
}

const pathModifier: MapShape = {
  kind: 'map',
  keys: {
    type: { shape: oneOf('ReplaceFullPath', 'ReplacePrefixMatch'), required: true, about: 'ReplaceFullPath or ReplacePrefixMatch' },
    replaceFullPath: { shape: path, about: 'what to put in place of the whole path' },
    replacePrefixMatch: { shape: path, about: 'what to put in place of the path that matched' },
  },
  rules: [
    (value) => {
      const wanted = value.type === 'ReplaceFullPath' ? 'replaceFullPath' : 'replacePrefixMatch'
      const other = wanted === 'replaceFullPath' ? 'replacePrefixMatch' : 'replaceFullPath'
      if (!(wanted in value)) return { key: 'type', message: `has the type ${String(value.type)} without "${wanted}"` }
      return other in value ? { key: other, message: `has the type ${String(value.type)} and "${other}"` } : undefined
    },
  ],
}

/** Names without groups, kinds and namespaces: here services have one name each, which discovery knows. */
const backendKeys = {
  group: { shape: text('"", as services of their own group are not known here', (value) => value === ''), about: 'left out, or ""' },
  kind: { shape: oneOf('Service'), about: 'Service' },
  name: { shape: text('the name of a service', (value) => /^[A-Za-z0-9][\w.-]*$/.test(value)), required: true, about: 'a service' },
  namespace: { shape: word, about: 'the namespace of the resource itself' },
  port: { shape: port, about: 'without meaning here: discovery knows the port' },
} as const

const backend: MapShape = { kind: 'map', keys: { ...backendKeys, weight: { shape: integer(0, 1_000_000), about: 'its share' } } }

const redirectStatus = oneNumberOf(301, 302, 303, 307, 308)

const filter: MapShape = {
  kind: 'map',
  keys: {
    type: {
      shape: oneOf('RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite', 'RequestMirror'),
      required: true,
      about: 'what it does',
    },
    requestHeaderModifier: { shape: headerFilter, about: 'changes of the headers of requests' },
    responseHeaderModifier: { shape: headerFilter, about: 'changes of the headers of answers' },
    requestRedirect: {
      shape: {
        kind: 'map',
        keys: {
          scheme: { shape: oneOf('http', 'https'), about: 'another scheme' },
          hostname: { shape: hostname, about: 'another host' },
          path: { shape: pathModifier, about: 'another path' },
          port: { shape: port, about: 'another port' },
          statusCode: { shape: redirectStatus, about: 'the status; 302 when it is left out' },
        },
      },
      about: 'where the client is sent',
    },
    urlRewrite: {
      shape: {
        kind: 'map',
        keys: {
          hostname: { shape: hostname, about: 'the Host that the service gets' },
          path: { shape: pathModifier, about: 'the path that the service gets' },
        },
      },
      about: 'how host and path are changed',
    },
    requestMirror: {
      shape: {
        kind: 'map',
        keys: {
          backendRef: { shape: { kind: 'map', keys: backendKeys }, required: true, about: 'the service that gets copies' },
          percent: { shape: integer(0, 100), about: 'how many of a hundred requests are copied' },
        },
      },
      about: 'where copies go',
    },
  },
  rules: [
    (value) => {
      const type = String(value.type)
      const wanted = type === 'URLRewrite' ? 'urlRewrite' : `${type.charAt(0).toLowerCase()}${type.slice(1)}`
      if (!(wanted in value)) return { key: 'type', message: `has the type ${type} without "${wanted}"` }
      const other = Object.keys(value).find((key) => key !== 'type' && key !== wanted)
      return other === undefined ? undefined : { key: other, message: `has the type ${type} and "${other}"` }
    },
  ],
}

const rule: MapShape = {
  kind: 'map',
  keys: {
    name: { shape: word, about: 'its name in logs' },
    matches: { shape: list(match, 'match', 1), about: 'which requests; all when it is left out' },
    filters: { shape: list(filter, 'filter'), about: 'what is done on the way' },
    backendRefs: { shape: list(backend, 'backend'), about: 'where to' },
    timeouts: {
      shape: {
        kind: 'map',
        keys: {
          request: { shape: duration, about: 'how long the whole request may take' },
          backendRequest: { shape: duration, about: 'how long one try may take' },
        },
      },
      about: 'how long to wait',
    },
  },
}

const parent: DictionaryShape = {
  kind: 'dictionary',
  of: { kind: 'either', of: [word, integer(0, 65_535)], wanted: 'a text or a number' },
  item: 'entry',
  key: word,
}

/** What a resource HTTPRoute of Gateway API may say here. @see https://gateway-api.sigs.k8s.io/reference/spec, HTTPRoute */
export const httpRouteShape: MapShape = {
  kind: 'map',
  keys: {
    apiVersion: {
      shape: oneOf('gateway.networking.k8s.io/v1', 'gateway.networking.k8s.io/v1beta1'),
      required: true,
      about: 'gateway.networking.k8s.io/v1',
    },
    kind: { shape: oneOf('HTTPRoute'), required: true, about: 'HTTPRoute' },
    metadata: {
      shape: {
        kind: 'map',
        keys: {
          name: { shape: word, required: true, about: 'its name' },
          namespace: { shape: word, about: 'its namespace' },
          labels: { shape: words, about: 'without meaning here' },
          annotations: { shape: words, about: 'without meaning here' },
        },
      },
      required: true,
      about: 'with its name',
    },
    spec: {
      shape: {
        kind: 'map',
        keys: {
          parentRefs: { shape: list(parent, 'parent'), about: 'without meaning here: this gateway' },
          hostnames: { shape: list(hostname, 'host', 1), about: 'the hosts it takes' },
          rules: { shape: list(rule, 'rule', 1), required: true, about: 'what goes where' },
        },
      },
      required: true,
      about: 'hosts and rules',
    },
  },
}
