// npm run shop: a load with chaos, then the books.

import { CliError } from '@banyan/cli'
import { messageOf } from '@banyan/core'
import { type ShopDatabase, shopDatabase } from './database.ts'
import { isUnnoticed, registryOutage } from './load/registry-outage.ts'
import { type TrialResult, trial } from './load/trial.ts'
import { type LoadOptions, loadOptions } from './options.ts'

const options = readOptions()
const { url: databaseUrl, where, stop } = await openDatabase()
if (options.registryOutageMs !== undefined) {
  const unnoticed = await outage(options.registryOutageMs)
  await stop()
  process.exit(unnoticed ? 0 : 1)
}
console.log(`seed ${options.seed}: ${options.orders} orders in each checkout${options.kills ? `, ${options.kills} kill -9` : ''}; ${where}`)
let failed = false
for (const checkout of options.checkouts) {
  console.log(`${checkout}:`)
  failed = !(await passes(checkout)) || failed
}
await stop()
console.log(
  failed ? `FAILED; npm run shop -- ${process.argv.slice(2).join(' ')} --seed ${options.seed} repeats the plan` : 'all invariants held',
)
process.exit(failed ? 1 : 0)

/** Whether a trial went well; one whose system did not even start did not. */
async function passes(checkout: LoadOptions['checkouts'][number]): Promise<boolean> {
  try {
    return report(await trial({ ...options, checkout, databaseUrl, print: (line) => console.log(line) }))
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    console.log(`  FAILED  ${error.message}`)
    return false
  }
}

async function outage(outageMs: number): Promise<boolean> {
  console.log(`10 orders and 30 reads a second, each tried once, while the registry is dead for ${outageMs} ms; ${where}`)
  const around = { ms: Math.min(10_000, outageMs) }
  const print = (line: string) => console.log(line)
  const result = await registryOutage({ outage: { ms: outageMs }, around, ordersPerSecond: 10, readsPerSecond: 30, databaseUrl, print })
  for (const [phase, { requests, failed }] of Object.entries(result.counts))
    console.log(`  ${phase.padEnd(6)}  ${String(requests).padStart(6)} requests, ${failed} failed`)
  for (const failure of result.failures) console.log(`  FAILED  ${failure}`)
  for (const rule of result.broken) console.log(`  BROKEN  ${rule}`)
  const { known, index } = result
  console.log(
    `  the registry knew ${known.before.length} instances before and ${known.after.length} after; index ${index.before}, then ${index.after}`,
  )
  const unnoticed = isUnnoticed(result)
  console.log(unnoticed ? 'nobody noticed' : 'FAILED: see above')
  return unnoticed
}

function report({ load, kills, orders, broken, seconds, settledAfterMs }: TrialResult): boolean {
  const states = Object.entries(orders).map(([status, count]) => `${count} ${status}`)
  console.log(`  ${load.accepted.length} orders accepted: ${states.join(', ')}`)
  console.log(`  ${kills} kills, quiet ${Math.round(settledAfterMs)} ms after the last order, ${seconds.toFixed(1)} s in all`)
  for (const complaint of load.complaints) console.log(`  WRONG  ${complaint}`)
  for (const { rule, orders: ids } of broken)
    console.log(`  BROKEN  ${rule}: ${ids.slice(0, 20).join(', ')}${ids.length > 20 ? ` and ${ids.length - 20} more` : ''}`)
  return load.complaints.length === 0 && broken.length === 0
}

async function openDatabase(): Promise<ShopDatabase> {
  try {
    return await shopDatabase(process.env)
  } catch (error) {
    console.error(messageOf(error))
    process.exit(2)
  }
}

function readOptions(): LoadOptions {
  try {
    return loadOptions(process.argv.slice(2))
  } catch (error) {
    console.error(messageOf(error))
    process.exit(2)
  }
}
