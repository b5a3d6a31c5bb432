import { type SystemDefinition, system } from '@banyan/cli'

/** The whole shop: which services there are, which programs stand outside, where requests come in. */
export const shop: SystemDefinition = system({
  name: 'shop',
  services: {
    users: './users/main.ts',
    catalog: './catalog/main.ts',
    orders: './orders/main.ts',
    inventory: './inventory/main.ts',
    payments: './payments/main.ts',
    shipping: './shipping/main.ts',
    notifications: './notifications/main.ts',
    history: './history/main.ts',
  },
  processes: 'each',
  gateway: './gateway.yaml',
  programs: {
    psp: './outside/psp.ts',
    erp: './outside/erp.ts',
    monolith: './outside/monolith.ts',
  },
})

export default shop
