import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf, type Logger, messageOf, type Timer, type World } from '@banyan/core'
import { DiscoveryError } from './errors.ts'
import { type Fields, fieldsOf } from './fields.ts'
import { readRegistration } from './registry-input.ts'
import { type CheckRecord, type Entry, maintenanceCheck, startCheck } from './registry-records.ts'
import { emptyRegistry, type RegistryState } from './registry-state.ts'

/** Changes within this time are written together, milliseconds. */
const debounceMs = 50
/** How long to wait before trying again to write, milliseconds. */
const retryMs = 1_000
/**
 * How far the index jumps at a restart. A crash may lose the last changes; so that nobody waits with an index of theirs,
 * the new indexes lie beyond all that can have been given out.
 */
const restartGap = 1_000

/** Keeps a registry's state in a file. */
export interface RegistryFile {
  /** Writes `state` soon. */
  save(state: RegistryState): void
  /** Writes what is not written yet. */
  close(): Promise<void>
}

/**
 * Reads the state that {@link registryFile} wrote; an empty one when there is none. Every TTL starts anew, so that a registry
 * that was away does not take living instances for dead. A damaged file is moved aside and said in the log.
 *
 * @throws {DiscoveryError} `ERR_STATE_FILE` when the file or its folder cannot be used
 */
export async function loadRegistry(file: string, world: World, log: Logger): Promise<RegistryState> {
  try {
    await mkdir(dirname(file), { recursive: true })
    const text = await readFile(file, 'utf8')
    const saved = readSaved(text, world.monotonic())
    if (saved.ok) return saved.state
    const aside = `${file}.damaged-${world.now()}`
    await rename(file, aside)
    log.error(
      { file, aside, error: saved.error },
      `the registry's state file is damaged: ${saved.error}; moved it to "${aside}", starting empty`,
    )
    return emptyRegistry
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return emptyRegistry
    throw new DiscoveryError('ERR_STATE_FILE', `cannot use the registry's state file "${file}": ${messageOf(cause)}`, { cause })
  }
}

/** Writes states to `file`, each whole or not at all: a crash leaves the one before. */
export function registryFile(file: string, world: World, log: Logger): RegistryFile {
  let pending: RegistryState | undefined
  let timer: Timer | undefined
  let writing: Promise<void> = Promise.resolve()

  async function write(): Promise<void> {
    timer = undefined
    const state = pending
    if (!state) return
    pending = undefined
    try {
      await writeWhole(file, `${JSON.stringify(toSaved(state), undefined, 1)}\n`)
    } catch (error) {
      log.error({ file, error: messageOf(error) }, `cannot write the registry's state file "${file}"; trying on`)
      pending ??= state
      timer ??= world.after(retryMs, enqueue)
    }
  }
  const enqueue = () => {
    writing = writing.then(write)
  }
  return {
    save(state) {
      pending = state
      timer ??= world.after(debounceMs, enqueue)
    },
    async close() {
      timer?.cancel()
      enqueue()
      await writing
      timer?.cancel()
    },
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.tmp`
  const handle = await open(temporary, 'w')
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
}

function toSaved(state: RegistryState): object {
  const names = [...state.changed.keys()]
  return { version: 1, index: state.index, names, services: [...state.entries.values()].map(toSavedEntry) }
}

/** In the words of Consul's register call, which the reader knows already. */
function toSavedEntry({ service, checks }: Entry): object {
  const { id, name, address, port, tags, meta, weights } = service
  const maintenance = checks.find(({ kind }) => kind.type === 'maintenance')
  return {
    definition: {
      ID: id,
      Name: name,
      Address: address,
      Port: port,
      Tags: tags,
      Meta: meta,
      Weights: { Passing: weights.passing, Warning: weights.warning },
      Checks: checks.filter(({ kind }) => kind.type !== 'maintenance').map(toSavedCheck),
    },
    ...(maintenance ? { maintenance: maintenance.notes } : {}),
  }
}

function toSavedCheck({ id, name, notes, status, kind, deregisterAfterMs }: CheckRecord): object {
  const common = { CheckID: id, Name: name, Notes: notes, Status: status }
  const after = deregisterAfterMs === undefined ? {} : { DeregisterCriticalServiceAfter: `${deregisterAfterMs}ms` }
  if (kind.type === 'ttl') return { ...common, ...after, TTL: `${kind.ttlMs}ms` }
  if (kind.type === 'maintenance') return common
  const every = { Interval: `${kind.intervalMs}ms`, Timeout: `${kind.timeoutMs}ms` }
  if (kind.type === 'tcp')
    return { ...common, ...after, ...every, TCP: `${kind.host.includes(':') ? `[${kind.host}]` : kind.host}:${kind.port}` }
  const { url, method, headers, body, skipTlsVerify } = kind
  return { ...common, ...after, ...every, HTTP: url, Method: method, Header: headers, Body: body, TLSSkipVerify: skipTlsVerify }
}

function readSaved(text: string, now: number): { ok: true; state: RegistryState } | { ok: false; error: string } {
  try {
    const fields = fieldsOf(JSON.parse(text))
    fields.integer('version', 0, 1, 1)
    const index = fields.integer('index', 0, 1, Number.MAX_SAFE_INTEGER - restartGap) + restartGap
    const names = fields.texts('names')
    const entries = new Map(fields.objects('services').map((saved) => readSavedEntry(saved, index, now)))
    return { ok: true, state: { index, entries, changed: new Map(names.map((name) => [name, index])) } }
  } catch (error) {
    // Whatever is wrong with it, the caller moves it aside and says so.
    return { ok: false, error: messageOf(error) }
  }
}

function readSavedEntry(saved: Fields, index: number, now: number): [string, Entry] {
  const { service, checks } = readRegistration(saved.raw('definition'))
  const reason = saved.raw('maintenance')
  const definitions = typeof reason === 'string' ? [...checks, maintenanceCheck(service.id, reason)] : checks
  const records = definitions.map((check) => startCheck(check, undefined, now))
  return [service.id, { service, checks: records, createIndex: index, modifyIndex: index }]
}
