import { join } from 'node:path'
import { type Api, type Database, type Logger, systemWorld } from '@banyan/core'
import { consulRegistry } from '@banyan/discovery'
import { startTelemetry } from '@banyan/otel'
import { client, createLogger, type Host, httpTransport, inProcessTransport, logLevelOf, service } from '@banyan/service'
import { sqliteBus } from '@banyan/sqlite'
import { databaseOpener } from './service-database.ts'

export interface HostOptions {
  /** Stands in traces where no service is known. */
  name: string
  dataDir: string
  registryUrl: string
  /** A PostgreSQL server for the services' databases. Left out: SQLite files in `dataDir`. */
  databaseUrl: string | undefined
  /** Where spans go besides the standard exporter, as in `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  collectors: readonly string[]
  env: Readonly<Record<string, string | undefined>>
}

/** The {@link Host} of one process, and what must be let go at its end. */
export interface ProcessHost extends Host {
  readonly registry: ReturnType<typeof consulRegistry>
  /** What the process has measured, as Prometheus text. */
  metrics(): Promise<string>
  /** After all services have stopped: lets go of connections, closes bus and databases, sends the last spans. */
  close(): Promise<void>
}

/** A killed process leaves the registry after this long; a third of it between heartbeats. */
const TTL_MS = 3_000

/**
 * Puts a process together from the embedded default: a database for each service, in SQLite unless `databaseUrl` says otherwise, the
 * embedded bus, the registry of `registryUrl`; calls between services of this process go without sockets.
 *
 * @throws {SqliteError} `ERR_DATABASE_OPEN`; a service's database throws its own when the service is made or started
 */
export async function processHost(options: HostOptions): Promise<ProcessHost> {
  const { name, dataDir, registryUrl, databaseUrl, collectors, env } = options
  const world = systemWorld
  const level = logLevelOf(env.LOG_LEVEL)
  const logOf = (of: string): Logger => createLogger({ service: of, level })
  const log = logOf(name)
  const telemetry = startTelemetry({ service: name, env, collectors: [...collectors] })
  const registry = consulRegistry({ url: registryUrl, ttlMs: TTL_MS, deregisterAfterMs: 10_000, world, log })
  const bus = sqliteBus(join(dataDir, 'bus.db'), { world, log })
  const transport = inProcessTransport({ fallback: httpTransport({ registry, world, log }), world })
  const open = await databaseOpener({ dataDir, databaseUrl, world })
  const databases: Database[] = []

  function databaseOf(of: string): Database {
    const database = open(of, logOf(of))
    databases.push(database)
    return database
  }

  return {
    env,
    log,
    world,
    dataDir,
    registry,
    metrics: telemetry.metricsText,
    service: (of, { migrations = [], database } = {}) =>
      service(of, {
        ...(database === false ? {} : { database: databaseOf(of) }),
        migrations,
        bus,
        registry,
        transport,
        world,
        log: logOf(of),
        metrics: telemetry.metricsText,
        drainMs: 100,
        finishMs: 2_000,
      }),
    client: <A extends Api>(api: A, clientOptions = {}) => client(api, { ...clientOptions, transport, world }),
    async close() {
      await transport.close()
      await bus.close()
      await Promise.all(databases.map((database) => database.close()))
      await registry.close()
      await telemetry.stop()
    },
  }
}
