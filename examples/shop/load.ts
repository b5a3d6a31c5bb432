// npm run shop: a load with chaos, then the books.

import { type TrialResult, trial } from './load/trial.ts'
import { type LoadOptions, loadOptions } from './options.ts'

const options = readOptions()
console.log(`seed ${options.seed}: ${options.orders} orders in each checkout${options.kills ? `, ${options.kills} kill -9` : ''}`)
let failed = false
for (const checkout of options.checkouts) {
  console.log(`${checkout}:`)
  const result = await trial({ ...options, checkout, print: (line) => console.log(line) })
  failed = !report(result) || failed
}
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

function readOptions(): LoadOptions {
  try {
    return loadOptions(process.argv.slice(2))
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(2)
  }
}
