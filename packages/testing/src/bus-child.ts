import type { Bus } from '@banyan/core'
import { numbered } from './numbered.ts'

// The second process of the bus suite: node bus-child.ts <module> <place> <role>

const [module = '', place = '', role = ''] = process.argv.slice(2)
const { openBus }: { openBus: (place: string) => Bus } = await import(module)
// A parent that is gone, however it went, takes its children along.
process.on('disconnect', () => process.exit(0))
const bus = openBus(place)
const roles: Record<string, () => Promise<void>> = { publish, publishOnAndOn, consume }
await roles[role]?.()

/** Publishes fifty events of each of four keys. */
async function publish(): Promise<void> {
  process.send?.('ready')
  for (let n = 0; n < 50; n += 1) await bus.publish(['a', 'b', 'c', 'd'].map((subject) => numbered(subject, n)))
  await bus.close()
  process.exit(0)
}

/** Publishes one event after another until it is killed, and tells of each that the bus has taken. */
async function publishOnAndOn(): Promise<void> {
  process.send?.('ready')
  for (let n = 0; ; n += 1) {
    const event = numbered('a', n)
    await bus.publish([event])
    process.send?.(event.id)
  }
}

/** Is a member of group "shared" until it is killed, and tells of what it handled. */
async function consume(): Promise<void> {
  await bus.subscribe({
    group: 'shared',
    types: ['suite.tick'],
    async handle(batch) {
      for (const { envelope } of batch) process.send?.(envelope?.id)
    },
  })
  process.send?.('ready')
}
