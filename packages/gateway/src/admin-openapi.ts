import { type AdminRoute, adminRoutes } from './admin-routes.ts'

/** The admin port, described from the table that it answers by. @see https://spec.openapis.org/oas/v3.1.0 */
export function adminOpenApi(): object {
  const byPath = Map.groupBy(adminRoutes, ({ path }) => path)
  const paths = [...byPath].map(([path, routes]) => [
    path,
    Object.fromEntries(routes.map((route) => [route.method.toLowerCase(), operationOf(route)])),
  ])
  return {
    openapi: '3.1.0',
    info: { title: 'Banyan gateway, admin port', version: '1', description: 'Errors are problem details (RFC 9457).' },
    paths: Object.fromEntries(paths),
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: {
        problem: {
          type: 'object',
          required: ['status', 'code', 'detail'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string' },
            status: { type: 'integer' },
            code: { type: 'string' },
            detail: { type: 'string' },
          },
        },
      },
    },
  }
}

function operationOf({ summary, isOpen, takesFile, takesId, path, method }: AdminRoute): object {
  const problem = { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/problem' } } } }
  const type = path === '/metrics' ? 'text/plain' : path === '/config' ? 'application/yaml' : 'application/json'
  return {
    summary,
    operationId: `${method.toLowerCase()}${path.replaceAll(/\/(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    security: isOpen ? [] : [{ token: [] }],
    ...(takesId && { parameters: [{ name: 'id', in: 'query', required: true, schema: { type: 'integer', minimum: 1 } }] }),
    ...(takesFile && { requestBody: { content: { 'application/yaml': { schema: { type: 'string' } } } } }),
    responses: {
      '200': {
        description: 'done',
        content: { [type]: { schema: type === 'application/json' ? { type: 'object' } : { type: 'string' } } },
      },
      default: { description: 'not done, and why', ...problem },
    },
  }
}
