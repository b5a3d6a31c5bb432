import type { Migration } from '@banyan/core'
import { messaging } from './migrations/001-messaging.ts'
import { saga } from './migrations/002-saga.ts'
import { flows } from './migrations/003-flows.ts'
import { sagaEngine } from './migrations/004-saga-engine.ts'
import { inboxMarks } from './migrations/005-inbox-marks.ts'
import { isolation } from './migrations/006-isolation.ts'
import { outboxPositions } from './migrations/007-outbox-positions.ts'
import { sagaRows } from './migrations/008-saga-rows.ts'
import { participants } from './migrations/009-participants.ts'

/** Banyan's own tables (`banyan_*`), in order. They run when a database is opened. */
export const banyanMigrations: readonly Migration[] = [
  messaging,
  saga,
  flows,
  sagaEngine,
  inboxMarks,
  isolation,
  outboxPositions,
  sagaRows,
  participants,
]
