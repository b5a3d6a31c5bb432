import { type SystemDefinition, system } from '../../system.ts'

export const toy: SystemDefinition = system({
  name: 'toy',
  services: { ping: './ping.ts', pong: './pong.ts' },
  gateway: './gateway.yaml',
})

export default toy
