import { type Instance, type ManualWorld, manualWorld, type Registry, shown, type World } from '@banyan/core'
import type { SimulatedHost } from './balance-host.ts'
import { simulatedRegistry } from './balance-registry.ts'
import { type BalanceReport, type Ledger, ledger } from './balance-report.ts'

/** What {@link simulateBalance} tries: anything that picks instances and learns how calls ended, `upstream()` for one. */
export interface SimulatedPicker {
  pick(exclude?: ReadonlySet<string>, key?: string): SimulatedPick | undefined
  stop?(): void
}

/** A choice. `done` is called once, when the call ended. */
export interface SimulatedPick {
  readonly instance: Instance
  done(outcome: { readonly ok: boolean; readonly latencyMs: number }): void
}

/** Where a picker finds itself. */
export interface SimulatedSite {
  readonly registry: Registry
  /** The name to watch. */
  readonly service: string
  readonly world: World
  /** Which of the callers it is for, from 0. */
  readonly caller: number
}

/** What to simulate. */
export interface BalanceSimulationOptions {
  /** Makes the picker of a caller. */
  picker: (site: SimulatedSite) => SimulatedPicker
  hosts: readonly SimulatedHost[]
  /** Of all callers together, at random moments, from 0.001. */
  callsPerSecond: number
  /** How long calls come, milliseconds from 1. The last ones are waited for. */
  durationMs: number
  /** What begins before this is not in the report, milliseconds. Default 0. */
  warmUpMs?: number
  /** Processes that call, each with a picker of its own, 1 to 10,000. Default 1. */
  callers?: number
  /** How often a call may be tried, each time at a host it was not tried at if there is one, 1 to 100. Default 1. */
  attempts?: number
  /** Makes the retry budget of a caller. Default: as many retries as `attempts` allows. */
  budget?: (world: World) => { deposit(): void; withdraw(): boolean }
  /** What a call is about, for pickers that hash. `random` is from the seed. */
  key?: (random: () => number) => string
  /** Same seed, same run. Default 1. */
  seed?: number
}

interface Run {
  readonly world: ManualWorld
  readonly options: BalanceSimulationOptions
  readonly book: Ledger
  /** Calls at each host that have not ended. */
  readonly inFlight: number[]
}

interface Caller {
  readonly picker: SimulatedPicker
  readonly budget: { deposit(): void; withdraw(): boolean } | undefined
}

/**
 * Runs callers against hosts that are given by how they answer, in time that is not waited for: how would this balancer take a host that
 * fails fast, one that is slow, one that is new? Ten seconds of 1,000 calls each take about a tenth of a second.
 *
 * @throws {RangeError} for an option out of range
 */
export async function simulateBalance(options: BalanceSimulationOptions): Promise<BalanceReport> {
  const { hosts, durationMs, callers = 1, seed = 1 } = options
  check(options)
  const world = manualWorld({ seed })
  const run: Run = { world, options, book: ledger(hosts.map(({ id }) => id)), inFlight: hosts.map(() => 0) }
  const registry = simulatedRegistry(hosts, 'simulated', world)
  const all = Array.from(
    { length: callers },
    (_, caller): Caller => ({
      picker: options.picker({ registry, service: 'simulated', world, caller }),
      budget: options.budget?.(world),
    }),
  )
  await world.advance(0)
  let open = 0
  for (const caller of all) {
    const next = () =>
      void world.after(gapMs(run), () => {
        if (world.monotonic() >= durationMs) return
        next()
        open += 1
        call(run, caller, () => {
          open -= 1
        })
      })
    next()
  }
  await world.advance(durationMs)
  while (open > 0) await world.advance(1_000)
  for (const { picker } of all) picker.stop?.()
  return run.book.report()
}

/** Calls of many independent users come at random moments: the gaps between them are exponential. */
function gapMs({ world, options: { callsPerSecond, callers = 1 } }: Run): number {
  return (-Math.log(1 - world.random()) * 1_000 * callers) / callsPerSecond
}

function call(run: Run, { picker, budget }: Caller, ended: () => void): void {
  const { world, options, book } = run
  const { attempts = 1, warmUpMs = 0 } = options
  const began = world.monotonic()
  const isCounted = began >= warmUpMs
  const tried = new Set<string>()
  const key = options.key?.(world.random)
  budget?.deposit()
  const end = (ok: boolean) => {
    if (isCounted) book.call(ok, world.monotonic() - began)
    ended()
  }
  const attempt = (number: number) => {
    const picked = picker.pick(tried, key)
    if (!picked) return end(false)
    tried.add(picked.instance.id)
    send(run, picked, isCounted, (ok) => {
      if (ok || number >= attempts || budget?.withdraw() === false) end(ok)
      else attempt(number + 1)
    })
  }
  attempt(1)
}

function send({ world, options, book, inFlight }: Run, picked: SimulatedPick, isCounted: boolean, ended: (ok: boolean) => void): void {
  const index = picked.instance.port - 1
  const atMs = world.monotonic()
  const answer = options.hosts[index]?.answer({ atMs, inFlight: inFlight[index] ?? 0, random: world.random })
  if (!answer) throw new Error(`the picker gave "${picked.instance.id}", which is none of the hosts`)
  book.attempt(index, atMs, isCounted)
  inFlight[index] = (inFlight[index] ?? 0) + 1
  world.after(answer.latencyMs, () => {
    inFlight[index] = (inFlight[index] ?? 0) - 1
    if (!answer.ok) book.failed(index, isCounted)
    picked.done(answer)
    ended(answer.ok)
  })
}

function check({ hosts, callsPerSecond, durationMs, warmUpMs = 0, callers = 1, attempts = 1 }: BalanceSimulationOptions): void {
  const ranges: [string, number, number, number][] = [
    ['callsPerSecond', callsPerSecond, 0.001, 1_000_000],
    ['durationMs', durationMs, 1, 86_400_000],
    ['warmUpMs', warmUpMs, 0, durationMs],
    ['callers', callers, 1, 10_000],
    ['attempts', attempts, 1, 100],
  ]
  for (const [name, value, from, to] of ranges)
    if (!(value >= from && value <= to))
      throw new RangeError(`cannot simulate balancing: "${name}" is ${shown(value)}, wanted ${from} to ${to}`)
  const ids = new Set(hosts.map(({ id }) => id))
  if (ids.size < hosts.length) throw new RangeError('cannot simulate balancing: two of the "hosts" have the same id')
}
