// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// What every database and every bus must pass
export { busSuite } from './bus-suite.ts'
export type { BusFixture, BusSite } from './bus-fixture.ts'
export { databaseSuite } from './database-suite.ts'
export type { DatabaseFixture, DatabaseSite, SmallSite } from './database-fixture.ts'

// What every registry must pass
export { registrySuite, watchSuite } from './registry-suite.ts'
export type { RegistrySite } from './registry-suite.ts'
export { recordSnapshots } from './registry-recorder.ts'
export type { SnapshotRecorder } from './registry-recorder.ts'

// What every store must pass: of messages, of sagas, of participants' keys
export { flowSuite } from './flow-suite.ts'
export { inboxSuite } from './inbox-suite.ts'
export { isolationSuite } from './isolation-suite.ts'
export { keyQueueSuite } from './key-queue-suite.ts'
export { outboxSuite } from './outbox-suite.ts'
export { participantSuite } from './participant-suite.ts'
export { sagaStoreSuite } from './saga-store-suite.ts'
export type { StoreSuiteOptions } from './messaging-store-suite.ts'

// A real PostgreSQL server
export { startPostgres } from './postgres-server.ts'
export type { PostgresServer, PostgresServerOptions } from './postgres-server.ts'
export { testPostgres } from './postgres-run.ts'
export type { TestDatabase } from './postgres-run.ts'

// What can go wrong between a client and a server
export { faultProxy } from './fault-proxy.ts'
export type { FaultProxy, FaultProxyOptions } from './fault-proxy.ts'
export type { Faults } from './fault-proxy-faults.ts'
