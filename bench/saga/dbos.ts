import { importPeer } from '../peers.ts'
import { doStep, type SagaSite, type SagaSubject, STEPS, type StepResult } from './subject.ts'

/** What this benchmark uses of `@dbos-inc/dbos-sdk`. */
export interface DbosModule {
  readonly DBOS: {
    setConfig(config: object): void
    registerWorkflow<T, R>(body: (input: T) => Promise<R>, config: { name: string }): (input: T) => Promise<R>
    runStep<T>(body: () => Promise<T>, config: { name: string }): Promise<T>
    startWorkflow<T, R>(workflow: (input: T) => Promise<R>, options: { workflowID: string }): (input: T) => Promise<unknown>
    launch(): Promise<void>
    shutdown(): Promise<void>
  }
}

/** As its documentation sets it up; the pool larger than its default of 10, which is a little faster with many in flight. */
export function dbosConfig(url: string): object {
  return { name: 'bench', systemDatabaseUrl: url, systemDatabasePoolSize: 20, logLevel: 'error' }
}

/** Four `DBOS.runStep` in a workflow that is called directly, the way without a queue and its polling. */
export async function openDbos({ url }: SagaSite): Promise<SagaSubject> {
  const { DBOS } = await importPeer<DbosModule>('@dbos-inc/dbos-sdk')
  DBOS.setConfig(dbosConfig(url))
  const order = DBOS.registerWorkflow(
    async (key: string) => {
      const results: Record<string, StepResult> = {}
      for (const name of STEPS) results[name] = await DBOS.runStep(() => doStep(name, key), { name })
      return results
    },
    { name: 'order' },
  )
  await DBOS.launch()
  return {
    async run(key) {
      await order(key)
    },
    close: () => DBOS.shutdown(),
  }
}
