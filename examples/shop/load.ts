// npm run shop: a load with chaos, then the books.

import { messageOf } from '@banyan/core'
import { type ShopDatabase, shopDatabase } from './database.ts'
import { type TrialResult, trial } from './load/trial.ts'
import { type LoadOptions, loadOptions } from './options.ts'

const options = readOptions()
const { url: databaseUrl, where, stop } = await openDatabase()
console.log(`seed ${options.seed}: ${options.orders} orders in each checkout${options.kills ? `, ${options.kills} kill -9` : ''}; ${where}`)
let failed = false
for (const checkout of options.checkouts) {
  console.log(`${checkout}:`)
  const result = await trial({ ...options, checkout, databaseUrl, print: (line) => console.log(line) })
  failed = !report(result) || failed
}
await stop()
console.log(
  failed ? `FAILED; npm run shop -- ${process.argv.slice(2).join(' ')} --seed ${options.seed} repeats the plan` : 'all invariants held',
)
process.exit(failed ? 1 : 0)

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
