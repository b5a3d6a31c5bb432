import { list, text } from '../config-shape.ts'
import { isNetwork, networks } from '../networks.ts'
import { problem } from '../problem.ts'
import type { Plugin } from './plugin.ts'

/** Who may call, by the address: of the client itself, behind the `trusted_proxies`. */
export interface IpRestrictionConfig {
  /** Only these may: `10.0.0.0/8`, `192.168.1.7`, `fd00::/8`. Default: all. */
  allow?: readonly string[]
  /** These may not, though `allow` has them. Default: none. */
  deny?: readonly string[]
}

/** The code of the plugin's problem. */
export type IpRestrictionProblemCode = 'ERR_ADDRESS_REFUSED'

const network = list(text('an address or a network, as in "10.0.0.0/8"', isNetwork), 'network', 1)

/** Lets only clients of some networks through, or all but those of some. An address says where a request comes from, not who sent it. */
export const ipRestriction: Plugin<IpRestrictionConfig> = {
  config: {
    kind: 'map',
    keys: {
      allow: { shape: network, about: 'the networks of those who may call' },
      deny: { shape: network, about: 'the networks of those who may not' },
    },
    rules: [
      ({ allow, deny }) =>
        allow === undefined && deny === undefined ? { message: 'restricts nobody; wanted "allow", "deny", or both' } : undefined,
    ],
  },
  shared: true,
  create({ allow, deny = [] }) {
    const isAllowed = allow ? networks(allow) : () => true
    const isDenied = networks(deny)
    return (next) => async (request) => {
      const { clientIp } = request
      if (isAllowed(clientIp) && !isDenied(clientIp)) return next(request)
      return problem({ status: 403, code: 'ERR_ADDRESS_REFUSED', detail: `the address ${clientIp} may not call this` })
    }
  },
}
