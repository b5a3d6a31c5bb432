import { type Host, type Service, serve } from '@banyan/service'
import { pingApi, pongApi } from './contracts.ts'

export default function main(host: Host): Service {
  const ping = host.service('ping')
  const pong = host.client(pongApi)
  ping.use(
    serve(pingApi, {
      pid: async () => ({ pid: process.pid }),
      both: async () => ({ ping: process.pid, pong: (await pong.pid()).pid }),
    }),
  )
  return ping
}
