import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type RunningSystem, startSystem } from '@banyan/cli'
import { consulRegistry } from '@banyan/discovery'
import { call } from '../shop/load/shopper.ts'
import { seedNames } from '../shop/seeds/names.ts'
import { shop } from '../shop/system.ts'
import { readNumbers } from './options.ts'

const HELP = `npm run gateway-trial -- seeds

The gateway file of the seeds, as it stands (examples/shop/seeds/gateway.yaml), before the shop in its processes. The file has fixed ports: 8080, 9001 and 9100
must be free.`

const FILE = fileURLToPath(new URL('../shop/seeds/gateway.yaml', import.meta.url))
const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url))
const GATEWAY = 'http://127.0.0.1:8080'

export async function run(args: readonly string[]): Promise<boolean> {
  if (!readNumbers(args, HELP, {})) return true
  const folder = mkdtempSync(join(tmpdir(), 'banyan-gateway-trial-'))
  const closing: (() => Promise<unknown>)[] = [async () => rmSync(folder, { recursive: true, force: true })]
  try {
    const running = await startSystem(shop, {
      baseUrl: new URL('../shop/system.ts', import.meta.url).href,
      dataDir: folder,
      gatewayPort: 0,
      log: 'silent',
      env: { SHOP_CHECKOUT: 'orchestration' },
    })
    closing.push(() => running.stop())
    const registry = consulRegistry({ url: running.registryUrl })
    closing.push(() => registry.close())
    closing.push(await seedNames(registry, running.gatewayUrl))
    closing.push(await startGateway(running))
    return await tryAll()
  } finally {
    for (const close of closing.reverse()) await close()
  }
}

/** `banyan gateway run` with the file, as a person would type it. */
async function startGateway({ registryUrl }: RunningSystem): Promise<() => Promise<void>> {
  const args = [...process.execArgv, MAIN, 'gateway', 'run', FILE, '--registry', registryUrl, '--history-dir', join(tmpdir(), 'none')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  // Whatever ends this process, nothing is left behind.
  process.once('exit', () => child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line)
    if (line.includes('listens on')) break
  }
  child.stdout.resume()
  if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}`)
  return async () => {
    child.kill('SIGTERM')
    await exit
  }
}

/** What the file promises, request by request. @returns whether all of it holds */
async function tryAll(): Promise<boolean> {
  let isGood = true
  const note = (what: string, got: string, wanted: string) => {
    isGood &&= got === wanted
    console.log(`${got === wanted ? 'ok ' : 'BAD'}  ${what.padEnd(64)} ${got}${got === wanted ? '' : `, wanted ${wanted}`}`)
  }
  const status = async (
    what: string,
    wanted: number,
    ...request: Parameters<typeof call> extends [string, ...infer Rest] ? Rest : never
  ) => {
    const answer = await call(GATEWAY, ...request)
    note(`${request[0]} ${request[1]} ${what}`, String(answer.status), String(wanted))
    return answer.body
  }
  const { token } = await status('(everything else: the shop itself)', 201, 'POST', '/api/sessions', {
    body: { email: 'ada@example.com', password: 'banyan-shop' },
  })
  const signedIn = { token: String(token) }
  await status('(everything else: the monolith)', 200, 'GET', '/legacy/catalog')
  // A list: an object with 0, 1...
  const products = (await status('', 200, 'GET', '/api/products')) as Readonly<Record<string, { productId: string } | undefined>>
  const productId = products[0]?.productId ?? ''
  await status('', 200, 'GET', `/api/products/${productId}`)
  await status('without a token', 401, 'GET', '/api/orders/1')
  await status('with a forged token', 401, 'GET', '/api/orders/1', { token: 'a.b.c' })
  const order = { ...signedIn, key: 'seeds-1', body: { items: [{ productId, quantity: 1 }] } }
  const { orderId } = await status('', 202, 'POST', '/api/orders', order)
  await status('', 200, 'GET', `/api/orders/${String(orderId)}`, signedIn)
  const overview = await status('', 200, 'GET', `/api/order-overview/${String(orderId)}`, signedIn)
  const has = Object.keys(overview).filter((part) => part !== '_parts')
  note('  its parts', has.join(', '), 'order, payment, inventory')
  await status('without a token: the order is required', 401, 'GET', `/api/order-overview/${String(orderId)}`)
  note('600 GET /api/products within a minute of 500', await limited(600), 'some refused')
  return isGood
}

/** A limit of 500 a minute lets 500 through at once, and one more each 120 ms. */
async function limited(requests: number): Promise<string> {
  let refused = 0
  for (let sent = 0; sent < requests; sent += 1) if ((await call(GATEWAY, 'GET', '/api/products')).status === 429) refused += 1
  return refused > 0 && refused <= requests - 490 ? 'some refused' : `${refused} refused`
}
