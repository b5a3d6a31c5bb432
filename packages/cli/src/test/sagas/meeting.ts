import { saga } from '@banyan/saga'
import { orderShipped } from '../flows.ts'
import { fine } from './fine.ts'

/** Meets the flow of `../flows.ts`, and starts another saga. */
export const meeting = saga<{ id: string }>('meeting', { version: 1, key: ({ id }) => id })
  .pivot('confirm', { local: () => undefined })
  .child('again', fine, { input: (c) => c.input })
  .wait('shipped', { for: orderShipped, where: (c) => c.input.id, withinMs: 1_000, otherwise: 'continue' })
  .done()
