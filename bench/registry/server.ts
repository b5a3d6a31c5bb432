import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { registryServer } from '@banyan/discovery'
import { settingsOfContestant, tell } from '../contestant.ts'

// The embedded registry in a process of its own, its state in a file: npm run bench -- registry starts it.

export interface ServerTask {
  /** Where its state is. */
  readonly folder: string
}

/** What the process needs, bytes, after collecting garbage. */
export interface Memory {
  readonly rss: number
  readonly heap: number
}

const { folder } = settingsOfContestant<ServerTask>()
setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

const server = registryServer({ port: 0, stateFile: join(folder, 'registry.json') })
const { url } = await server.start()
process.on('message', () => {
  collect()
  const { rss, heapUsed } = process.memoryUsage()
  void tell('memory', { rss, heap: heapUsed } satisfies Memory)
})
await tell('listening', url)
