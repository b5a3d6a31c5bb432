import type { Migration } from '@banyan/core'
import { foreign } from './migrations/000-foreign.ts'
import { lanes } from './migrations/000-lanes.ts'
import { messaging } from './migrations/001-messaging.ts'
import { saga } from './migrations/002-saga.ts'
import { flows } from './migrations/003-flows.ts'
import { isolation } from './migrations/006-isolation.ts'
import { sagaAlone } from './migrations/007-saga-alone.ts'
import { sagaRows } from './migrations/008-saga-rows.ts'
import { sagaSnapshots } from './migrations/009-saga-snapshots.ts'
import { participants } from './migrations/010-participants.ts'
import { outboxBody } from './migrations/011-outbox-body.ts'
import { outboxSegments } from './migrations/012-outbox-segments.ts'

/** Banyan's own tables (`banyan_*`), in order. They run before the first use of a database. */
export const banyanMigrations: readonly Migration[] = [
  lanes,
  foreign,
  messaging,
  saga,
  flows,
  isolation,
  sagaAlone,
  sagaRows,
  sagaSnapshots,
  participants,
  outboxBody,
  outboxSegments,
]
