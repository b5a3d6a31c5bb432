// The registry of a system as a process of its own, started by startSystem and told by REGISTRY_VARIABLE what it is to be.
import { messageOf } from '@banyan/core'
import { registryServer } from '@banyan/discovery'
import { createLogger, logLevelOf } from '@banyan/service'
import { type ProcessMessage, REGISTRY_VARIABLE, type RegistryPlan } from './process-plan.ts'

const plan = JSON.parse(process.env[REGISTRY_VARIABLE] ?? '{}') as Partial<RegistryPlan> // written by startSystem
const registry = registryServer({ ...plan, log: createLogger({ service: 'registry', level: logLevelOf(process.env.LOG_LEVEL) }) })
const end = () => void registry.stop().then(() => process.exit(0))

// The terminal sends Ctrl-C to all processes of a system; the one that started them says when to end.
process.on('SIGINT', () => {})
process.on('SIGTERM', end)
// Whoever started this process is gone, perhaps by kill -9: nothing is left behind.
process.on('disconnect', end)

try {
  await registry.start()
  tell({ ready: true })
} catch (error) {
  tell({ failed: messageOf(error) })
  console.error(messageOf(error))
  process.exit(1)
}

function tell(message: ProcessMessage): void {
  // Started by hand it has nobody to tell.
  process.send?.(message)
}
