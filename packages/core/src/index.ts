// Time, randomness, ids

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
  RefusalOf,
} from './api.ts'
// Contracts: what a service answers, what it publishes
export { api, isRepeatable } from './api.ts'
export type { Bus, BusFeatures, BusSubscription, Delivery, Subscription } from './bus.ts'
export type { CodedErrorOptions } from './coded-error.ts'
// Errors and refusals
export { CodedError, codeOf, messageOf } from './coded-error.ts'
export type { Component, ComponentContext, ComponentErrorCode, Health, Logger } from './component.ts'
// The life of a service's parts
export { busOf, ComponentError, databaseOf, silentLogger } from './component.ts'
export type { Database, Migration, ReadTransaction, SqlValue, StorePort, Transaction } from './database.ts'
// Ports
export { storePort } from './database.ts'
export type { Envelope, EnvelopeErrorCode } from './envelope.ts'
// Events on the wire
export { decodeEnvelope, EnvelopeError, encodeEnvelope, schemaVersion } from './envelope.ts'
export type { EventData, EventErrorCode, EventInput, EventOptions, EventType } from './event.ts'
export { checkEventData, EventError, event, readEvent } from './event.ts'
export type { ManualWorld, ManualWorldOptions } from './manual-world.ts'
export { manualWorld } from './manual-world.ts'
export type { Refusal } from './refusal.ts'
export { isRefusal, refuse } from './refusal.ts'
export type { Instance, Registration, Registry, Snapshot, Watch } from './registry.ts'
export type { InputOf, Issue, OutputOf, Schema, Validation } from './schema.ts'
export { describeIssues, validate } from './schema.ts'
export { systemWorld } from './system-world.ts'
export type { Timer, World } from './world.ts'
export { sleep } from './world.ts'
