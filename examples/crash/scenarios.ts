import { messaging } from './messaging/scenario.ts'
import { saga } from './saga/scenario.ts'
import type { Scenario } from './scenario.ts'

/** All of them, by name. */
export const scenarios: Readonly<Record<string, Scenario>> = { messaging, saga }
