import { describe } from 'vitest'
import { type DatabaseFixture, databaseTest } from './database-fixture.ts'
import { atomicityTests, hookTests } from './database-suite-atomicity.ts'
import { boundaryTests, closeTests } from './database-suite-boundaries.ts'
import { crashTests, diskTests } from './database-suite-crash.ts'
import { migrationTests, readTests } from './database-suite-schema.ts'

/** Registers the tests that every {@link Database} must pass, with vitest. */
export function databaseSuite(name: string, fixture: DatabaseFixture): void {
  describe(`${name} as a database`, () => {
    const test = databaseTest(fixture)
    describe('transactions', () => atomicityTests(test))
    describe('hooks', () => hookTests(test))
    describe('what a body must not do', () => boundaryTests(test))
    describe('reads', () => readTests(test))
    describe('migrations', () => migrationTests(test))
    describe('closing', () => closeTests(test))
    if (fixture.module) describe('other processes', () => crashTests(test))
    // What lasts no longer than its handle has no disk either.
    if (fixture.module) describe('a full disk', () => diskTests(test))
  })
}
