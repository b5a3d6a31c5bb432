import type { BusFeatures } from '@banyan/core'
import { describe } from 'vitest'
import { type BusFixture, busTest } from './bus-fixture.ts'
import { deliveryTests, orderTests } from './bus-suite-delivery.ts'
import { groupTests, memberTests } from './bus-suite-groups.ts'

/** Registers the tests that every {@link Bus} must pass, with vitest. What a bus does not promise in `features` is not asked of it. */
export function busSuite(name: string, fixture: BusFixture, features: BusFeatures): void {
  describe(`${name} as a bus`, () => {
    const test = busTest(fixture)
    describe('delivery', () => deliveryTests(test, features))
    if (features.ordering === 'key') describe('order', () => orderTests(test))
    describe('groups', () => groupTests(test, features))
    describe('members of a group', () => memberTests(test))
  })
}
