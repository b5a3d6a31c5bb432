import { describe, expect, it } from 'vitest'
import { groupsOf, system } from './system.ts'

const services = { orders: './orders.ts', payments: './payments.ts' }

describe('a system', () => {
  it('gives each service a process, and the gateway one', () => {
    expect(groupsOf(system({ name: 'shop', services, gateway: './gateway.yaml' }))).toEqual([
      { name: 'orders', services: ['orders'], gateway: false },
      { name: 'payments', services: ['payments'], gateway: false },
      { name: 'gateway', services: [], gateway: true },
    ])
  })

  it('puts all into one process, the gateway too', () => {
    const definition = system({ name: 'shop', services, gateway: './gateway.yaml' })
    expect(groupsOf(definition, 'one')).toEqual([{ name: 'shop', services: ['orders', 'payments'], gateway: true }])
  })

  it.each([
    ['an unknown service', { core: ['order', 'payments'] }, 'process "core" has the unknown service "order"; did you mean "orders"?'],
    ['a service in two processes', { a: ['orders'], b: ['orders', 'payments'] }, 'service "orders" is in two processes, "a" and "b"'],
    ['a service in none', { a: ['orders'] }, 'service "payments" is in no process'],
  ])('refuses %s', (_, processes, message) => {
    expect(() => system({ name: 'shop', services, processes })).toThrow(message)
  })

  it('refuses the name of the process that every system has beside its own', () => {
    for (const options of [{ services: { registry: './x.ts' } }, { services, processes: { registry: ['orders', 'payments'] } }])
      expect(() => system({ name: 'shop', ...options })).toThrow('"registry" is the process that every system has for its registry')
  })

  it('refuses a program with the name of a service', () => {
    expect(() => system({ name: 'shop', services, programs: { orders: './x.ts' } })).toThrow('"orders" is a service and a program')
  })

  it.each([
    ['a service and the gateway', { services: { gateway: './x.ts' }, gateway: './gateway.yaml' }, 'gateway'],
    ['a group and the gateway', { services, processes: { gateway: ['orders', 'payments'] }, gateway: './gateway.yaml' }, 'gateway'],
    ['a program and the gateway', { services, programs: { gateway: './x.ts' }, gateway: './gateway.yaml' }, 'gateway'],
    ['a program and a group', { services, processes: { psp: ['orders', 'payments'] }, programs: { psp: './x.ts' } }, 'psp'],
  ])('refuses one name for %s', (_, options, name) => {
    expect(() => system({ name: 'shop', ...options })).toThrow(`two processes have the name "${name}"`)
  })

  it('refuses a name for two also in processes that are given later', () => {
    const definition = system({ name: 'shop', services, programs: { psp: './x.ts' } })
    expect(() => groupsOf(definition, { psp: ['orders', 'payments'] })).toThrow('two processes have the name "psp"')
    expect(() => groupsOf(definition, { registry: ['orders', 'payments'] })).toThrow('"registry" is the process')
  })
})
