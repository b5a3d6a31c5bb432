// What every database and every bus must pass
export type { BusFixture, BusSite } from './bus-fixture.ts'
export { busSuite } from './bus-suite.ts'
// Killing processes on purpose
export type { CrashRole, CrashTrial, CrashTrialOptions } from './crash-harness.ts'
export { crashTrial } from './crash-harness.ts'
export type { CrashPlanOptions, Kill } from './crash-plan.ts'
export { crashPlan, describeKill } from './crash-plan.ts'
export { crashPoint, underHarness } from './crash-point.ts'
export type { DatabaseFixture, DatabaseSite, SmallSite } from './database-fixture.ts'
export { databaseSuite } from './database-suite.ts'
export type { EffectFaults, Numbered } from './effect-check.ts'
export { checkEffects, countFaults } from './effect-check.ts'
