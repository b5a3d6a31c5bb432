// biome-ignore-all assist/source/organizeImports: grouped by the question a user has

// Time, randomness, ids
export { systemWorld } from './system-world.ts'
export { manualWorld } from './manual-world.ts'
export type { ManualWorld, ManualWorldOptions } from './manual-world.ts'
export { sleep } from './world.ts'
export type { Timer, World } from './world.ts'

// Errors and refusals, what was probably meant, and how a message shows a value
export { CodedError, codeOf, messageOf, stackOf } from './coded-error.ts'
export type { CodedErrorOptions } from './coded-error.ts'
export { isRefusal, refuse } from './refusal.ts'
export type { Refusal } from './refusal.ts'
export { nearest } from './nearest.ts'
export { shown } from './shown.ts'
export { withoutPassword } from './without-password.ts'

// Contracts: what a service answers, what it publishes
export { api, isRepeatable, isServedOver } from './api.ts'
export type {
  Api,
  HttpMethod,
  Operation,
  OperationAnswer,
  OperationInput,
  OperationOutput,
  OperationRequest,
  Operations,
  PathParameter,
  Protocol,
  RefusalOf,
} from './api.ts'
export { checkEventData, event, EventError, readEvent } from './event.ts'
export type { EventData, EventErrorCode, EventInput, EventOptions, EventType } from './event.ts'
export { describeIssues, validate } from './schema.ts'
export type { InputOf, Issue, OutputOf, Schema, Validation } from './schema.ts'

// Events on the wire
export { decodeEnvelope, encodeEnvelope, EnvelopeError, schemaVersion } from './envelope.ts'
export type { Envelope, EnvelopeErrorCode } from './envelope.ts'

// Ports
export { storePort } from './database.ts'
export type { Database, Migration, ReadTransaction, SqlValue, StorePort, Transaction } from './database.ts'
export type { Bus, BusFeatures, BusSubscription, Delivery, DeliveryPlace, Subscription } from './bus.ts'
export type { Instance, Registration, Registry, Snapshot, Watch } from './registry.ts'

// The life of a service's parts
export { busOf, ComponentError, databaseOf, silentLogger } from './component.ts'
export type { Component, ComponentContext, ComponentErrorCode, Health, Logger } from './component.ts'
