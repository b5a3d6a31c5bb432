import type { Migration } from '@banyan/core'
import { LANES } from '../lanes.ts'

/** Tables without rows, to be locked: see `lanes.ts`. */
export const lanes: Migration = {
  id: 'banyan-000-lanes',
  sql: LANES.map((name) => `create table ${name} ();`).join('\n'),
}
