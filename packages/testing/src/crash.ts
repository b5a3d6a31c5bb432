// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// A door of its own, without vitest: the programs under the harness open it, and start in half the time.

// Planning mishaps, and letting them happen
export { crashPlan, describeMishap } from './crash-plan.ts'
export type { CrashDeed, CrashPlanOptions, CrashTime, CrashVictim, Mishap } from './crash-plan.ts'
export { crashTrial } from './crash-harness.ts'
export type { CrashOutsider, CrashTrial, CrashTrialOptions } from './crash-harness.ts'
export type { CrashCounts, CrashRole } from './crash-life.ts'

// In the programs under the harness
export { crashPoint, underHarness } from './crash-point.ts'

// What became of it
export { checkEffects, countFaults } from './effect-check.ts'
export type { EffectFaults, Numbered } from './effect-check.ts'
export { checkSagaEffects, countSagaFaults } from './effect-check-saga.ts'
export type { SagaEffect, SagaEnd, SagaFaults, SagaRules } from './effect-check-saga.ts'
