// npm start: the whole shop on this machine, and the way of its first three orders.

import { startSystem } from '@banyan/cli'
import { messageOf } from '@banyan/core'
import { runUntilSignal } from '@banyan/service'
import { shopDatabase } from './database.ts'
import { firstOrders } from './first-orders.ts'
import { startOptions } from './options.ts'
import { shop } from './system.ts'

try {
  const home = new URL('./data', import.meta.url)
  const started = performance.now()
  const options = startOptions(process.argv.slice(2), home)
  const database = await shopDatabase(process.env)
  const running = await startSystem(shop, {
    baseUrl: new URL('./system.ts', import.meta.url).href,
    dataDir: options.dataDir,
    gatewayPort: options.port,
    log: 'pretty',
    // What is worth a person's look; LOG_LEVEL=info shows everything.
    env: { LOG_LEVEL: process.env.LOG_LEVEL || 'warn' },
    ...(database.url && { databaseUrl: database.url }),
    ...(options.oneProcess ? { processes: 'one' as const } : {}),
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(
    `ready in ${seconds} s: ${running
      .processes()
      .map(({ name }) => name)
      .join(', ')}; ${database.where}`,
  )
  let stopping = false
  const stop = async () => {
    stopping = true
    await running.stop()
    await database.stop()
  }
  const ended = runUntilSignal([{ stop }])
  await firstOrders(running).catch((error: unknown) => {
    // Ctrl-C in the middle of an order takes its gateway away.
    if (!stopping) throw error
  })
  await ended
  process.exit(0)
} catch (error) {
  console.error(messageOf(error))
  process.exit(1)
}
