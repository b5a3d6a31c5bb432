import { BlockList, isIP, isIPv4 } from 'node:net'

/** Says whether an address lies in one of some networks. */
export type Networks = (address: string) => boolean

/**
 * Reads `10.0.0.0/8`, `192.168.1.7`, `fd00::/8`.
 *
 * @throws {RangeError} for a text that is no network
 */
export function networks(texts: readonly string[]): Networks {
  if (texts.length === 0) return () => false
  const list = new BlockList()
  for (const text of texts) {
    if (!isNetwork(text)) throw new RangeError(`cannot read the network "${text}": wanted an address or a network, as in "10.0.0.0/8"`)
    const [address = '', bits] = text.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (address) => isIP(address) > 0 && list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

/** Whether a text is an IP address or a network. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}
