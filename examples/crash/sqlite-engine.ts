import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Engine, trialFolder, type Wanted } from './engine.ts'
import { databaseAt } from './places.ts'

/** Each trial's databases are copies of ones that were migrated once. */
export function sqliteEngine(): Engine {
  const templates = trialFolder()
  const made = new Map<string, Promise<string>>()

  async function make({ service, migrations }: Wanted): Promise<string> {
    const file = join(templates, `${service}.db`)
    const database = await databaseAt(file, service)
    await database.migrate(migrations('sqlite'))
    await database.close()
    return file
  }

  return {
    name: 'sqlite',
    outsiders: [],
    async site(wanted, bus) {
      const folder = trialFolder()
      const places: Record<string, string> = bus ? { bus: join(folder, 'bus.db') } : {}
      for (const one of wanted) {
        const template = made.get(one.service) ?? make(one)
        made.set(one.service, template)
        const file = join(folder, `${one.service}.db`)
        copyFileSync(await template, file)
        places[one.service] = file
      }
      return { folder, places, remove: async () => rmSync(folder, { recursive: true, force: true }) }
    },
    stop: async () => rmSync(templates, { recursive: true, force: true }),
  }
}
