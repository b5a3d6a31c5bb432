import { nearest } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { arrivalOf } from './forwarded.ts'
import { endToEnd, headerOf, headerValues, isIdentityHeader, withHeader, withoutHeaders } from './headers.ts'
import { isNetwork, networks } from './networks.ts'

describe('headers', () => {
  const list = ['Host', 'x', 'Set-Cookie', 'a=1', 'set-cookie', 'b=2']

  it('are found whatever the case of their names', () => {
    expect([headerOf(list, 'host'), headerOf(list, 'none'), headerValues(list, 'set-cookie')]).toEqual(['x', undefined, ['a=1', 'b=2']])
  })

  it('are replaced as a whole, and dropped by name; the list itself stays', () => {
    expect(withHeader(list, 'Set-Cookie', 'c=3')).toEqual(['Host', 'x', 'Set-Cookie', 'c=3'])
    expect(withoutHeaders(list, (name) => name === 'set-cookie')).toEqual(['Host', 'x'])
    expect(list).toHaveLength(6)
  })

  it('about one connection do not go on, nor those it names, but for what services decide by', () => {
    const sent = [
      'Connection',
      'close, X-One',
      'CONNECTION',
      'x-two,authorization , Content-Length',
      'X-One',
      '1',
      'x-two',
      '2',
      'X-Three',
      '3',
    ]
    const kept = ['Authorization', 'a', 'Content-Length', '5', 'X-Forwarded-For', 'f']
    expect(endToEnd([...sent, ...kept, 'Keep-Alive', 'k', 'TE', 't', 'Trailer', 'x', 'Upgrade', 'u'])).toEqual(['X-Three', '3', ...kept])
  })

  it('that say who calls are known in both spellings', () => {
    expect(['x-auth-subject', 'x_auth_subject', 'x-auth_claims', 'x-authority', 'authorization'].map(isIdentityHeader)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ])
  })
})

describe('networks', () => {
  it('are addresses and networks of both families', () => {
    const isTrusted = networks(['10.0.0.0/8', '192.168.1.7', 'fd00::/8', '::1'])
    expect(['10.9.9.9', '192.168.1.7', 'fd12::1', '::1'].map(isTrusted)).toEqual([true, true, true, true])
    expect(['11.0.0.1', '192.168.1.8', 'fe80::1', '', 'x'].map(isTrusted)).toEqual([false, false, false, false, false])
    expect(['10.0.0.0/8', '::/0', '1.2.3.4'].map(isNetwork)).toEqual([true, true, true])
    expect(['10.0.0.0/33', '10.0.0.0/8/8', '10.0.0/8', 'x', '10.0.0.0/'].map(isNetwork)).toEqual([false, false, false, false, false])
    expect(() => networks(['10.0.0'])).toThrow('cannot read the network "10.0.0"')
  })

  it('give the client as the nearest address that is not trusted, and drop what is no address', () => {
    const isTrusted = networks(['10.0.0.0/8'])
    const from = (peer: string, ...forwarded: string[]) =>
      arrivalOf(
        forwarded.flatMap((value) => ['X-Forwarded-For', value]),
        { peer, host: 'shop', scheme: 'http' },
        isTrusted,
      )
    expect(from('6.6.6.6', '1.1.1.1').clientIp).toBe('6.6.6.6')
    expect(from('10.0.0.1', '1.1.1.1, 2.2.2.2', '10.0.0.2').clientIp).toBe('2.2.2.2')
    expect(from('10.0.0.1', 'unknown, <script>').headers).toEqual([
      'x-forwarded-for',
      '10.0.0.1',
      'x-forwarded-proto',
      'http',
      'x-forwarded-host',
      'shop',
    ])
    expect(from('::ffff:10.0.0.1', '3.3.3.3').clientIp).toBe('3.3.3.3')
    expect(from('10.0.0.1').clientIp).toBe('10.0.0.1')
    expect(from('10.0.0.1', '1.1.1.1:5678').clientIp).toBe('1.1.1.1')
    expect(from('10.0.0.1', '[fd00::1]:5678, [fd00::2]').headers[1]).toBe('fd00::1, fd00::2, 10.0.0.1')
  })

  it('do not believe what stands before a hop that is no address: a client may have said it', () => {
    const arrival = (forwarded: string) =>
      arrivalOf(['X-Forwarded-For', forwarded], { peer: '10.0.0.1', host: 'shop', scheme: 'http' }, networks(['10.0.0.0/8']))
    expect(arrival('9.9.9.9, unknown').clientIp).toBe('10.0.0.1')
    expect(arrival('9.9.9.9, unknown').headers[1]).toBe('10.0.0.1')
    expect(arrival('9.9.9.9, _hidden, 2.2.2.2, 10.0.0.2').clientIp).toBe('2.2.2.2')
    expect(arrival(', 2.2.2.2,').clientIp).toBe('2.2.2.2')
    expect(arrival('10.0.0.5, 2.2.2.2:99999999').clientIp).toBe('10.0.0.1')
  })
})

describe('nearest', () => {
  it('finds what was meant, and nothing when the word is another', () => {
    const keys = ['strip_path', 'service', 'path', 'timeout_ms', 'url']
    expect(['strip_pth', 'sevrice', 'PATH', 'timeoutms', 'ulr', 'banana', ''].map((word) => nearest(word, keys))).toEqual([
      'strip_path',
      'service',
      'path',
      'timeout_ms',
      'url',
      undefined,
      undefined,
    ])
  })
})
