import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Migration } from '@banyan/core'
import type { CrashOutsider } from '@banyan/testing/crash'
import type { Places } from './places.ts'

export const ENGINES = ['sqlite', 'postgres'] as const
export type EngineName = (typeof ENGINES)[number]

/** The servers of an engine, by name: its outsiders. Known before it is started. */
export const SERVERS: Readonly<Record<EngineName, readonly string[]>> = { sqlite: [], postgres: ['database'] }

/** A database that a trial needs. */
export interface Wanted {
  readonly service: string
  readonly migrations: (dialect: EngineName) => readonly Migration[]
}

/** Which group the bus is to know from the start: its tables are made with it. */
export interface WantedBus {
  readonly group: string
  readonly types: readonly string[]
}

/** Where trials have their databases. */
export interface Engine {
  readonly name: EngineName
  /** The databases' server, where it is no process of the trial. */
  readonly outsiders: readonly CrashOutsider[]
  /** Makes fresh databases, and a place for the bus where there is one; it is the place `bus`. */
  site(wanted: readonly Wanted[], bus: WantedBus | undefined): Promise<Site>
  /** Ends what it has started. */
  stop(): Promise<void>
}

/** The places of one trial. */
export interface Site {
  readonly folder: string
  readonly places: Places
  remove(): Promise<void>
}

/** A folder for a trial's files. */
export function trialFolder(): string {
  return mkdtempSync(join(tmpdir(), 'banyan-crash-'))
}
