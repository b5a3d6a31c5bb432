import { codeOf, type Instance } from '@banyan/core'
import type { Lease } from '@banyan/discovery/internal'
import { EtcdError, refused } from './etcd-error.ts'
import type { EtcdHttp } from './etcd-http.ts'
import { keyOf, storedValue } from './etcd-instance.ts'
import { fieldOf, integerOf, textOf } from './fields.ts'

/** What {@link etcdLease} needs. */
export interface EtcdLeaseOptions {
  http: EtcdHttp
  instance: Instance
  /** The beginning of all keys. */
  root: string
  ttlMs: number
}

/**
 * An instance's place in etcd: a key that lives as long as its lease is kept alive.
 *
 * @see https://etcd.io/docs/v3.6/learning/api/, "Lease API"
 */
export function etcdLease({ http, instance, root, ttlMs }: EtcdLeaseOptions): Lease {
  const key = Buffer.from(keyOf(root, instance)).toString('base64')
  const of = `"${instance.id}" of "${instance.service}"`
  const callMs = Math.max(1_000, ttlMs / 3)
  let lease = ''
  let isPut = false
  const stored = (leaving: boolean) => ({ key, value: storedValue(instance, leaving), lease })

  return {
    async register(timeoutMs, signal) {
      // Half of the time for each of its two calls.
      const limits = { timeoutMs: Math.min(callMs, timeoutMs / 2), signal }
      const granted = await http.call('/v3/lease/grant', { TTL: String(Math.ceil(ttlMs / 1_000)) }, limits)
      isPut = false
      lease = textOf(granted, 'ID')
      if (lease === '') throw refused(`register ${of}`, 'without a lease')
      await http.call('/v3/kv/put', stored(false), limits)
      isPut = true
    },
    async renew(signal) {
      // A lease without the key would be heard of for ever, and nobody would find the instance.
      if (!isPut) return 'unknown'
      const answer = await http.call('/v3/lease/keepalive', { ID: lease }, { timeoutMs: callMs, signal })
      const result = fieldOf(answer, 'result')
      if (result === undefined) throw brokenLease(of, answer)
      // A lease that has ended is answered without the time it has left.
      if (integerOf(result, 'TTL') === 0) return 'unknown'
      // A key can go without its lease, by somebody's hand or with another process of the same id. A read, unlike a put, writes no disk.
      const found = await http.call('/v3/kv/range', { key, count_only: true }, { timeoutMs: callMs, signal })
      return integerOf(found, 'count') > 0 ? 'heard' : 'unknown'
    },
    async deregister(timeoutMs, signal) {
      try {
        // First a word that it goes on purpose: that its key is gone might also mean that it died. Not where the process after this one has
        // put itself under the same id: that one stays.
        const isOurs = { key, target: 'LEASE', result: 'EQUAL', lease }
        await http.call('/v3/kv/txn', { compare: [isOurs], success: [{ request_put: stored(true) }] }, { timeoutMs, signal })
        await http.call('/v3/lease/revoke', { ID: lease }, { timeoutMs, signal })
      } catch (error) {
        // The lease has ended: gone already, which is what was wanted.
        if (codeOf(error) !== 'ERR_REGISTRY_REFUSED' || !(error instanceof EtcdError) || error.status !== 404) throw error
      }
    },
  }
}

function brokenLease(of: string, answer: unknown): EtcdError {
  return new EtcdError('ERR_REGISTRY_UNAVAILABLE', `cannot renew ${of}: etcd answered ${JSON.stringify(answer).slice(0, 200)}`)
}
