import type { Instance } from '@banyan/core'
import { type ConsulHttp, refused } from './consul-http.ts'
import { checkIdOf, registerBody } from './consul-instance.ts'
import type { Lease } from './heartbeat.ts'

/** What {@link consulLease} needs. */
export interface ConsulLeaseOptions {
  http: ConsulHttp
  instance: Instance
  ttlMs: number
  deregisterAfterMs: number
}

/** An instance's place in Consul: a service with a TTL check. */
export function consulLease({ http, instance, ttlMs, deregisterAfterMs }: ConsulLeaseOptions): Lease {
  const { id, service } = instance
  return {
    async register(timeoutMs, signal) {
      const body = registerBody(instance, ttlMs, deregisterAfterMs)
      const limits = { timeoutMs: Math.min(timeoutMs, Math.max(1_000, ttlMs)), signal }
      const response = await http.call('PUT', '/v1/agent/service/register', { ...limits, body })
      if (response.status !== 200) throw refused(`register "${id}" of "${service}"`, response)
    },
    async renew(signal) {
      const path = `/v1/agent/check/pass/${encodeURIComponent(checkIdOf(instance))}`
      const response = await http.call('PUT', path, { timeoutMs: Math.max(500, ttlMs / 3), signal })
      if (response.status === 200) return 'heard'
      if (response.status === 404) return 'unknown'
      throw refused(`renew "${id}" of "${service}"`, response)
    },
    async deregister(timeoutMs, signal) {
      const path = `/v1/agent/service/deregister/${encodeURIComponent(id)}`
      const response = await http.call('PUT', path, { timeoutMs, signal })
      // 404: gone already, which is what was wanted.
      if (response.status !== 200 && response.status !== 404) throw refused(`deregister "${id}" of "${service}"`, response)
    },
  }
}
