// Starts the toy system, tells its processes, and waits to be killed.
import { startSystem } from '../../run-system.ts'
import { toy } from './system.ts'

const running = await startSystem(toy, {
  baseUrl: new URL('./system.ts', import.meta.url).href,
  dataDir: process.argv[2] ?? 'data',
  gatewayPort: 0,
  log: 'silent',
})
process.send?.(running.processes().map(({ pid }) => pid))
