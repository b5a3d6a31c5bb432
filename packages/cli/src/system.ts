import { nearest } from '@banyan/core'

/** Which services share a process: `each` one of its own, all in `one`, or groups by name. */
export type Processes = 'each' | 'one' | Readonly<Record<string, readonly string[]>>

export interface SystemOptions {
  /** Stands in logs and traces. */
  name: string
  /** From each service's name to its module, relative to the system file. The module exports `(host: Host) => Service`. */
  services: Readonly<Record<string, string>>
  /** Default `each`. */
  processes?: Processes
  /** The gateway's file, relative to the system file. Left out: no gateway. */
  gateway?: string
  /**
   * Programs outside the system that run beside it, relative to the system file. Each is given `PORT` and `DATA_DIR`; the
   * services find `psp` by the variable `PSP_URL`.
   */
  programs?: Readonly<Record<string, string>>
}

/** A checked {@link SystemOptions}. */
export interface SystemDefinition {
  readonly name: string
  readonly services: Readonly<Record<string, string>>
  readonly processes: Processes
  readonly gateway: string | undefined
  readonly programs: Readonly<Record<string, string>>
}

/**
 * Declares a system: which services there are, which of them share a process, where requests come in.
 *
 * @throws {TypeError} for a name that is used twice or unknown, naming it and the nearest right one
 */
export function system(options: SystemOptions): SystemDefinition {
  const { name, services, processes = 'each', gateway, programs = {} } = options
  if (Object.keys(services).length === 0) throw fail(name, 'it has no services')
  for (const program of Object.keys(programs)) {
    if (program in services) throw fail(name, `"${program}" is a service and a program`)
  }
  const definition = { name, services, processes, gateway, programs }
  groupsOf(definition)
  // It is the name of a process when all services are to be in one.
  assertNames(name, [name])
  return definition
}

/** One process of a system. */
export interface ProcessGroup {
  readonly name: string
  readonly services: readonly string[]
  readonly gateway: boolean
}

/**
 * The processes of a system, its programs aside.
 *
 * @throws {TypeError} for a group with an unknown service, a service in no group or in two, or a name that two processes would have
 */
export function groupsOf(definition: SystemDefinition, processes: Processes = definition.processes): readonly ProcessGroup[] {
  const groups = dividedInto(definition, processes)
  assertNames(definition.name, [...groups.map(({ name }) => name), ...Object.keys(definition.programs)])
  return groups
}

function dividedInto(definition: SystemDefinition, processes: Processes): readonly ProcessGroup[] {
  const names = Object.keys(definition.services)
  if (processes === 'one') return [{ name: definition.name, services: names, gateway: definition.gateway !== undefined }]
  const groups = processes === 'each' ? Object.fromEntries(names.map((service) => [service, [service]])) : processes
  assertPartition(definition.name, names, groups)
  const own = Object.entries(groups).map(([name, services]) => ({ name, services, gateway: false }))
  return definition.gateway === undefined ? own : [...own, { name: 'gateway', services: [], gateway: true }]
}

function assertNames(system: string, names: readonly string[]): void {
  if (names.includes('registry'))
    throw fail(system, '"registry" is the process that every system has for its registry; choose another name')
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  // Whoever asks for one by its name would be given the other.
  if (twice) throw fail(system, `two processes have the name "${twice}"`)
}

function assertPartition(system: string, names: readonly string[], groups: Readonly<Record<string, readonly string[]>>): void {
  const placed = new Map<string, string>()
  for (const [group, services] of Object.entries(groups)) {
    for (const service of services) {
      if (!names.includes(service)) throw fail(system, `process "${group}" has the unknown service "${service}"${hint(service, names)}`)
      if (placed.has(service)) throw fail(system, `service "${service}" is in two processes, "${placed.get(service)}" and "${group}"`)
      placed.set(service, group)
    }
  }
  const missing = names.find((service) => !placed.has(service))
  if (missing) throw fail(system, `service "${missing}" is in no process`)
}

function hint(word: string, words: readonly string[]): string {
  const near = nearest(word, words)
  return near ? `; did you mean "${near}"?` : ''
}

function fail(system: string, what: string): TypeError {
  return new TypeError(`cannot declare system "${system}": ${what}`)
}
