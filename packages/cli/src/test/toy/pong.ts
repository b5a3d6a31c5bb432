import { type Host, type Service, serve } from '@banyan/service'
import { pongApi } from './contracts.ts'

export default function main(host: Host): Service {
  const pong = host.service('pong', { database: false })
  pong.use(serve(pongApi, { pid: async () => ({ pid: process.pid }) }))
  return pong
}
