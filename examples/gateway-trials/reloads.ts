import { askAdmin } from '@banyan/cli'
import { readNumbers } from './options.ts'
import { failed, outcomesText, setStage } from './stage.ts'

const HELP = `npm run gateway-trial -- reloads [--requests 100000] [--reloads 100] [--processes 2] [--connections 50]

Requests over kept connections, none of them repeated, while the gateway takes one changed file after the other, and halfway through
replaces all its processes. Whatever is not answered with 200 has failed.`

const TOKEN = 'the-token-of-the-trial'

export async function run(args: readonly string[]): Promise<boolean> {
  const options = readNumbers(args, HELP, {
    requests: { value: 100_000, least: 100, most: 10_000_000 },
    reloads: { value: 100, least: 1, most: 10_000 },
    processes: { value: 2, least: 1, most: 64 },
    connections: { value: 50, least: 1, most: 1_000 },
  })
  if (!options) return true
  const { requests, reloads, processes, connections } = options
  const stage = await setStage(2)
  try {
    const gateway = await stage.gateway(fileOf(0), processes)
    const place = { admin: gateway.adminUrl ?? '' }
    process.env.GATEWAY_ADMIN_TOKEN = TOKEN
    const load = stage.load({ urls: [`${gateway.url}/orders`], connections, requests, posts: 0.1, perSecond: 1_000_000 })
    let [reloaded, restarted] = [0, 0]
    // Spread over the whole of the load.
    while (reloaded < reloads) {
      const isDue = (await load.progress()) * reloads >= reloaded * requests
      if (!isDue) await new Promise((resolve) => setTimeout(resolve, 5))
      else {
        reloaded += 1
        await askAdmin(place, 'POST', '/reload', fileOf(reloaded))
      }
      if (reloaded >= reloads / 2 && restarted === 0) {
        restarted = 1
        await askAdmin(place, 'POST', '/restart')
      }
    }
    const { outcomes, sent } = await load.result()
    const doubled = doubles(stage.done())
    const total = Object.values(outcomes).reduce((sum, count) => sum + count, 0)
    console.log(
      `${total.toLocaleString('en')} requests over ${reloaded} reloads and ${restarted} rolling restart of ${processes} processes`,
    )
    console.log(`${outcomesText(outcomes)}; ${sent.length.toLocaleString('en')} POSTs, ${doubled} done twice`)
    const bad = failed(outcomes)
    console.log(`${bad} failed`)
    return bad === 0 && doubled === 0 && total >= requests
  } finally {
    await stage.close()
  }
}

/** How many stand there more than once. */
export function doubles(ids: readonly string[]): number {
  return ids.length - new Set(ids).size
}

/** Another file each time: a route more or less, another limit. */
function fileOf(n: number): string {
  const extra = n % 2 === 1 ? '  - path: /more\n    service: orders\n' : ''
  const top = `listen: 127.0.0.1:0\nadmin: 0\nadmin_token: ${TOKEN}\nmax_body_bytes: ${1_000_000 + n}\nlinger_ms: 1000\n`
  return `${top}routes:\n  - path: /orders\n    service: orders\n    timeout_ms: ${10_000 + n}\n${extra}`
}
