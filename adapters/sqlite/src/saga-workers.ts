import { LEASE_SLACK_MS, type SagaShape, type SagaWorkers } from '@banyan/saga/internal'

/** Who may run sagas, and the shapes of what they run. */
export function sqliteSagaWorkers(): SagaWorkers {
  return { enlist, renew, define, shape }
}

const enlist: SagaWorkers['enlist'] = async (tx, { id, now, leaseMs, force }) => {
  const [row] = await tx.sql<{ epoch: number }>`
    insert into banyan_saga_workers (id, epoch, expires_at, lease_ms) values (${id}, 1, ${now + leaseMs}, ${leaseMs})
    on conflict (id) do update set epoch = epoch + 1, expires_at = excluded.expires_at, lease_ms = excluded.lease_ms
      where ${force} or banyan_saga_workers.expires_at <= ${now}
        or banyan_saga_workers.expires_at > ${now + LEASE_SLACK_MS} + banyan_saga_workers.lease_ms
    returning epoch`
  return row?.epoch
}

const renew: SagaWorkers['renew'] = async (tx, { worker, epoch }, expiresAt) => {
  const back = expiresAt === 0
  // Given back, the epoch moves on: that alone puts all the worker's sagas up for claiming.
  const [row] = await tx.sql`
    update banyan_saga_workers set expires_at = ${expiresAt}, epoch = epoch + ${back ? 1 : 0}
    where id = ${worker} and epoch = ${epoch} returning 1`
  return row !== undefined
}

const define: SagaWorkers['define'] = async (tx, shape) => {
  await tx.sql`
    insert into banyan_saga_definitions (name, version, shape) values (${shape.name}, ${shape.version}, ${JSON.stringify(shape)})
    on conflict (name, version) do update set shape = excluded.shape`
}

const shape: SagaWorkers['shape'] = async (tx, { name, version }) => {
  const [row] = await tx.sql<{ shape: string }>`select shape from banyan_saga_definitions where name = ${name} and version = ${version}`
  // Written from a shape by `define`.
  return row && (JSON.parse(row.shape) as SagaShape)
}
