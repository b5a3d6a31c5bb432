import { importPeer } from '../peers.ts'
import { answer, DEAR, type Subjects } from './subject.ts'

type PRetry = { readonly default: (work: () => Promise<number>, options: { retries: number }) => Promise<number> }

export const pRetry: Subjects = {
  async retry() {
    const { default: run } = await importPeer<PRetry>('p-retry')
    return { call: () => run(answer, { retries: 2 }), calls: DEAR }
  },
}
