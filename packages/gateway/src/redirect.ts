import type { RedirectConfig, RouteConfig } from './config.ts'
import type { GatewayRequest, Handler } from './exchange.ts'
import { headerOf } from './headers.ts'
import { pathRewriter } from './proxy.ts'

/**
 * The end of a route with `redirect`: sends the client elsewhere. What the file leaves out stays as the request has it.
 *
 * @see RFC 9110, section 15.4
 */
export function redirectHandler({ path }: RouteConfig, { status = 302, ...to }: RedirectConfig): Handler {
  const rewrite = pathRewriter({
    path,
    ...(to.path !== undefined && { replace_path: to.path }),
    ...(to.prefix !== undefined && { strip_path: true, upstream_path: to.prefix }),
  })
  return async (request) => ({
    status,
    headers: ['location', `${authorityOf(to, request)}${rewrite(request)}${request.query}`],
    body: undefined,
  })
}

/** Nothing, as long as the client stays where it is. */
function authorityOf({ scheme, host, port }: RedirectConfig, request: GatewayRequest): string {
  if (scheme === undefined && host === undefined && port === undefined) return ''
  const came = headerOf(request.headers, 'x-forwarded-proto') === 'https' ? 'https' : 'http'
  const asked = /:(\d+)$/.exec(headerOf(request.headers, 'host') ?? '')?.[1]
  const shown = port ?? (scheme === undefined ? asked : undefined)
  const isOwn = String(shown) === ((scheme ?? came) === 'https' ? '443' : '80')
  return `${scheme ?? came}://${host ?? request.host}${shown === undefined || isOwn ? '' : `:${shown}`}`
}
