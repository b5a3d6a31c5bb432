import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bus, type Component, type Database, type Logger, silentLogger, systemWorld } from '@banyan/core'
import { sqlite, sqliteBus } from '@banyan/sqlite'
import { underHarness } from '@banyan/testing'

/** The files of a trial, in its folder. */
export function openShop(folder: string): ReturnType<typeof sqlite> {
  return sqlite(join(folder, 'shop.db'), { log })
}

export function openBook(folder: string): ReturnType<typeof sqlite> {
  return sqlite(join(folder, 'book.db'), { log })
}

export function openBus(folder: string): Bus {
  return sqliteBus(join(folder, 'bus.db'), { log, leaseMs: 300, saveMs: 50 })
}

/** The folder of the trial: the first argument of every role. */
export function folderOf(): string {
  const folder = process.argv[2]
  if (!folder) throw new RangeError('cannot run a role: no folder given')
  mkdirSync(folder, { recursive: true })
  return folder
}

/** Starts a component and ends it, then the process, on SIGTERM. */
export async function runRole(component: Component, parts: { database: Database; bus: Bus }): Promise<void> {
  const { database, bus } = parts
  process.once('SIGTERM', async () => {
    // Kept with the files of a trial that failed: how the role saw things. None: it did not even get to say so.
    writeFileSync(join(folderOf(), `${component.name.split(' ')[0]}-health.json`), JSON.stringify(await component.health?.()) ?? 'null')
    await component.stop()
    await bus.close()
    await database.close()
    process.exit(0)
  })
  await component.start({ service: component.name, instanceId: systemWorld.uuid(), world: systemWorld, log, database, bus })
  underHarness()
}

/** Expected troubles are many here; what matters is what the checker says. Set `CRASH_LOG` to see them. */
export const log: Logger = process.env.CRASH_LOG ? loud() : silentLogger

function loud(): Logger {
  const say = (level: string) => (fields: object, message: string) => console.error(process.pid, level, message, fields)
  return { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
}
