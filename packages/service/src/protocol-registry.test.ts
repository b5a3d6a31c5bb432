import type { Instance, Registry, Snapshot } from '@banyan/core'
import { expect, test } from 'vitest'
import { portMeta, protocolRegistry } from './protocol-registry.ts'

function instance(id: string, meta?: Record<string, string>): Instance {
  return { id, service: 'stock', host: '10.0.0.1', port: 80, ...(meta && { meta }) }
}

test('who calls over a protocol sees the instances that answer it, on its port', () => {
  const known = [
    instance('a', { ...portMeta('grpc', 50_051), zone: 'x' }),
    instance('b'),
    instance('c', { 'grpc-port': 'none' }),
    instance('d', { 'grpc-port': '70000' }),
  ]
  const registry: Registry = {
    register: async () => ({ deregister: async () => {} }),
    watch(_, onChange) {
      onChange({ instances: known, revision: 7, stale: true })
      return { stop() {} }
    },
  }
  const seen: Snapshot[] = []
  protocolRegistry(registry, 'grpc').watch('stock', (snapshot) => seen.push(snapshot))
  expect(seen).toEqual([{ instances: [{ ...known[0], port: 50_051 }], revision: 7, stale: true }])
})
