import { readNumbers } from './options.ts'
import { doubles } from './reloads.ts'
import { failed, outcomesText, setStage } from './stage.ts'

const HELP = `npm run gateway-trial -- kill [--seconds 10] [--connections 50] [--per-second 3000]

Two instances of a service; one is killed with kill -9 after a third of the time, under load, and stays registered. No GET may fail, and no
POST may be done twice: each has an id, and the service notes in a file what it does before it answers.`

export async function run(args: readonly string[]): Promise<boolean> {
  const options = readNumbers(args, HELP, {
    seconds: { value: 10, least: 1, most: 600 },
    connections: { value: 50, least: 1, most: 1_000 },
    'per-second': { value: 3_000, least: 10, most: 100_000 },
  })
  if (!options) return true
  const { seconds, connections, 'per-second': perSecond } = options
  const stage = await setStage(2)
  try {
    const gateway = await stage.gateway('listen: 127.0.0.1:0\nroutes:\n  - path: /orders\n    service: orders\n', 1)
    const load = stage.load({ urls: [`${gateway.url}/orders`], connections, requests: Number.MAX_SAFE_INTEGER, posts: 0.3, perSecond })
    await new Promise((resolve) => setTimeout(resolve, (seconds * 1_000) / 3))
    await stage.upstreams[0]?.kill('SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, (seconds * 2_000) / 3))
    load.stop()
    const { outcomes, done, sent } = await load.result()
    const effects = stage.done()
    const known = new Set(effects)
    const lost = done.filter((id) => !known.has(id)).length
    console.log(`${outcomesText(outcomes)}`)
    console.log(
      `${sent.length.toLocaleString('en')} POSTs: ${done.length.toLocaleString('en')} answered, ${doubles(effects)} done twice, ${lost} answered and not done`,
    )
    const bad = failed(outcomes, 'GET')
    console.log(
      `${bad} GETs failed; ${failed(outcomes, 'POST')} POSTs were not answered with 200: they were under way, and are not repeated`,
    )
    return bad === 0 && doubles(effects) === 0 && lost === 0
  } finally {
    await stage.close()
  }
}
