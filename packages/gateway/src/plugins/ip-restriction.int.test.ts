import { describe, expect, it } from 'vitest'
import { parseGatewayFile } from '../config-file.ts'
import { echo, start } from '../test/harness.ts'
import type { IpRestrictionConfig } from './ip-restriction.ts'

/** The statuses for clients of these addresses, as the proxy in front of the gateway, which is this machine, gives them. */
async function statuses(config: IpRestrictionConfig, addresses: readonly string[], trusted: readonly string[] = ['127.0.0.1', '::1']) {
  const service = await echo()
  const plugins = [{ name: 'ip-restriction' as const, config }]
  const { url } = await start({ trusted_proxies: trusted, routes: [{ path: '/', service: 'a', plugins }] }, { a: [service.address] })
  const answers = await Promise.all(addresses.map((address) => fetch(url, { headers: { 'x-forwarded-for': address } })))
  return Promise.all(
    answers.map(async (answer) => (answer.ok ? answer.status : `${answer.status} ${((await answer.json()) as { detail: string }).detail}`)),
  )
}

describe('ip-restriction', () => {
  it('lets through whom it allows and does not deny', async () => {
    const config = { allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.6.6.0/24'] }
    expect(await statuses(config, ['10.1.2.3', '10.6.6.7', '::ffff:a06:607', '192.0.2.1', 'fd00::7', '2001:db8::1'])).toEqual([
      200,
      '403 the address 10.6.6.7 may not call this',
      '403 the address ::ffff:a06:607 may not call this',
      '403 the address 192.0.2.1 may not call this',
      200,
      '403 the address 2001:db8::1 may not call this',
    ])
    expect(await statuses({ deny: ['192.0.2.0/24'] }, ['192.0.2.1', '10.1.2.3'])).toEqual([
      '403 the address 192.0.2.1 may not call this',
      200,
    ])
  })

  it('takes no client at its word about its address', async () => {
    expect(await statuses({ allow: ['10.0.0.0/8'] }, ['10.1.2.3'], [])).toEqual(['403 the address 127.0.0.1 may not call this'])
    // What stands left of an address that is not trusted, its owner may have made up.
    expect(await statuses({ allow: ['10.0.0.0/8'] }, ['10.1.2.3, 192.0.2.1'])).toEqual(['403 the address 192.0.2.1 may not call this'])
  })

  it('is refused where it restricts nobody, or a network is none', () => {
    const file = (config: string) =>
      `routes: [{ path: /, url: "http://127.0.0.1:1", plugins: [{ name: ip-restriction, config: ${config} }] }]`
    expect(() => parseGatewayFile(file('{}'), 'gateway.yaml')).toThrow('restricts nobody; wanted "allow", "deny", or both')
    expect(() => parseGatewayFile(file('{ allow: [10.0.0.0/33] }'), 'gateway.yaml')).toThrow(
      '"10.0.0.0/33", wanted an address or a network',
    )
  })
})
