import { LEASE_SLACK_MS, type SagaShape, type SagaWorkers } from '@banyan/saga/internal'

/** Who may run sagas, and the shapes of what they run. */
export function postgresSagaWorkers(): SagaWorkers {
  return { enlist, renew, define, shape }
}

const enlist: SagaWorkers['enlist'] = async (tx, { id, now, leaseMs, force }) => {
  const [row] = await tx.sql<{ epoch: number }>`
    insert into banyan_saga_workers as w (id, epoch, expires_at, lease_ms) values (${id}, 1, ${now + leaseMs}, ${leaseMs})
    on conflict (id) do update set epoch = w.epoch + 1, expires_at = excluded.expires_at, lease_ms = excluded.lease_ms
      where ${force} or w.expires_at <= ${now} or w.expires_at > ${now + LEASE_SLACK_MS} + w.lease_ms
    returning w.epoch`
  return row?.epoch
}

const renew: SagaWorkers['renew'] = async (tx, { worker, epoch }, expiresAt) => {
  // Given back, the epoch moves on: that alone puts all the worker's sagas up for claiming.
  const given = expiresAt === 0 ? 1 : 0
  const [row] = await tx.sql`
    update banyan_saga_workers set expires_at = ${expiresAt}, epoch = epoch + ${given}
    where id = ${worker} and epoch = ${epoch} returning 1`
  return row !== undefined
}

const define: SagaWorkers['define'] = async (tx, shape) => {
  const { name, version } = shape
  await tx.sql`
    insert into banyan_saga_definitions (name, version, shape) values (${name}, ${version}, ${JSON.stringify(shape)})
    on conflict (name, version) do update set shape = excluded.shape`
}

const shape: SagaWorkers['shape'] = async (tx, { name, version }) => {
  const [row] = await tx.sql<{ shape: string }>`select shape from banyan_saga_definitions where name = ${name} and version = ${version}`
  // Written from a shape by `define`.
  return row && (JSON.parse(row.shape) as SagaShape)
}
