import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningGateway, runGateway } from '@banyan/cli'
import { silentLogger } from '@banyan/core'
import { consulRegistry, registryServer } from '@banyan/discovery'
import { type Child, startChild } from './children.ts'
import type { LoadProgress, LoadResult, LoadTask } from './load.ts'

/** What a trial is played on: services, a registry that knows them, a folder. All is gone after `close`. */
export interface Stage {
  readonly folder: string
  readonly registryUrl: string
  /** Where the services note what they have done. */
  readonly effects: string
  readonly upstreams: readonly Child[]
  /** The ids of what was done, as often as it was. */
  done(): string[]
  /** Starts a gateway with a file. */
  gateway(text: string, processes: number, name?: string): Promise<RunningGateway & { readonly file: string }>
  load(task: LoadTask): Load
  close(): Promise<void>
}

/** Clients at work. */
export interface Load {
  /** How many requests are over; `Infinity`: all. */
  progress(): Promise<number>
  stop(): void
  result(): Promise<LoadResult>
}

/** Sets a stage with so many instances of the service `orders`. They stay registered, whatever becomes of their processes. */
export async function setStage(instances: number): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-gateway-trial-'))
  const effects = join(folder, 'effects')
  writeFileSync(effects, '')
  const server = registryServer({ port: 0 })
  const { url: registryUrl } = await server.start()
  const registry = consulRegistry({ url: registryUrl })
  const upstreams: Child[] = []
  for (let n = 0; n < instances; n += 1) {
    const upstream = startChild('upstream', '0', effects)
    upstreams.push(upstream)
    const { port } = await upstream.heard<{ port: number }>()
    await registry.register({ id: `orders-${n}`, service: 'orders', host: '127.0.0.1', port })
  }
  const running: RunningGateway[] = []
  const loads: Child[] = []
  return {
    folder,
    registryUrl,
    effects,
    upstreams,
    done: () => readFileSync(effects, 'utf8').split('\n').filter(Boolean),
    async gateway(text, processes, name = 'gateway') {
      const file = join(folder, `${name}.yaml`)
      writeFileSync(file, text)
      const plan = { file, registryUrl, port: undefined }
      // Access logs are not what is looked at.
      const onLine = (_: string, line: string) => line.startsWith('{') || console.log(line)
      const made = await runGateway({ plan, processes, historyFolder: undefined, onLine, log: silentLogger })
      running.push(made)
      return { ...made, file }
    },
    load(task) {
      const child = startChild('load', JSON.stringify(task))
      loads.push(child)
      return loadOf(child)
    },
    async close() {
      for (const child of loads) await child.kill()
      for (const one of running) await one.stop()
      for (const upstream of upstreams) await upstream.kill()
      await registry.close()
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function loadOf(child: Child): Load {
  let final: LoadResult | undefined
  /** Its result comes by itself, perhaps where something else was asked for. */
  async function hear(): Promise<LoadProgress | LoadResult> {
    const message = await child.heard<LoadProgress | LoadResult>()
    if ('outcomes' in message) final = message
    return message
  }
  return {
    async progress() {
      if (final) return Number.POSITIVE_INFINITY
      child.tell({ progress: true })
      const message = await hear()
      return 'count' in message ? message.count : Number.POSITIVE_INFINITY
    },
    stop: () => child.tell({ stop: true }),
    async result() {
      while (!final) await hear()
      return final
    },
  }
}

/** Outcomes in a line: `GET 200: 99,000, POST 200: 1,000`. */
export function outcomesText(outcomes: LoadResult['outcomes']): string {
  return Object.entries(outcomes)
    .sort(([one], [other]) => one.localeCompare(other))
    .map(([outcome, count]) => `${outcome}: ${count.toLocaleString('en')}`)
    .join(', ')
}

/** Of a method, or of all, those that were not answered with 200. */
export function failed(outcomes: LoadResult['outcomes'], method = ''): number {
  return Object.entries(outcomes).reduce(
    (sum, [outcome, count]) => (outcome.startsWith(method) && !outcome.endsWith(' 200') ? sum + count : sum),
    0,
  )
}
