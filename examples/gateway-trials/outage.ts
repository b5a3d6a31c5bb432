import { readNumbers } from './options.ts'
import { outcomesText, setStage } from './stage.ts'

const HELP = `npm run gateway-trial -- outage [--seconds 10] [--connections 50] [--per-second 1000]

All instances of a service answer 503. How often they are asked, against how often clients ask: retries must not make it worse.`

/** Wanted: at most so many requests of the service for each of a client. */
const MOST = 1.2

export async function run(args: readonly string[]): Promise<boolean> {
  const options = readNumbers(args, HELP, {
    seconds: { value: 10, least: 1, most: 600 },
    connections: { value: 50, least: 1, most: 1_000 },
    'per-second': { value: 1_000, least: 10, most: 100_000 },
  })
  if (!options) return true
  const { seconds, connections, 'per-second': perSecond } = options
  const stage = await setStage(3)
  try {
    const gateway = await stage.gateway('listen: 127.0.0.1:0\nroutes:\n  - path: /orders\n    service: orders\n', 1)
    for (const upstream of stage.upstreams) upstream.tell({ fail: true })
    const load = stage.load({ urls: [`${gateway.url}/orders`], connections, requests: Number.MAX_SAFE_INTEGER, posts: 0, perSecond })
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
    load.stop()
    const { outcomes } = await load.result()
    const asked = Object.values(outcomes).reduce((sum, count) => sum + count, 0)
    let came = 0
    for (const upstream of stage.upstreams) {
      upstream.tell({ count: true })
      came += (await upstream.heard<{ requests: number }>()).requests
    }
    console.log(`${outcomesText(outcomes)}`)
    console.log(
      `clients asked ${asked.toLocaleString('en')} times, the service was asked ${came.toLocaleString('en')} times: ${(came / asked).toFixed(3)}x, wanted at most ${MOST}x`,
    )
    return asked > 0 && came / asked <= MOST
  } finally {
    await stage.close()
  }
}
