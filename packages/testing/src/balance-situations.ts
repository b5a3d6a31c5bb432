import { hosts, queueing, steady } from './balance-host.ts'
import type { BalanceReport } from './balance-report.ts'
import { type BalanceSimulationOptions, simulateBalance } from './balance-simulation.ts'

/** Makes the picker of a caller; the first part of {@link BalanceSimulationOptions}. */
export type MakePicker = BalanceSimulationOptions['picker']

/** How many hosts there are where a situation does not say otherwise. */
const count = 20
/** What a call takes at a host where all is well, milliseconds, give or take half. */
const usualMs = 40
const callsPerSecond = 1_000
const warmUpMs = 2_000

/** All hosts alike. `maxToMin`: the calls of the busiest host to those of the idlest. */
export async function equalHosts(picker: MakePicker, seed = 1): Promise<{ maxToMin: number; report: BalanceReport }> {
  const alike = hosts(count, () => ({ answer: steady({ latencyMs: usualMs }) }))
  const report = await simulateBalance({ picker, seed, hosts: alike, callsPerSecond, durationMs: 100_000, warmUpMs })
  const attempts = report.hosts.map((host) => host.attempts)
  return { maxToMin: Math.max(...attempts) / Math.min(...attempts), report }
}

/**
 * One host of twenty refuses every call, at once. `errorShare` is of all calls, each tried once; `quietShare` of all seconds, in which
 * it got no call: it was ejected, where its part would have been 50 calls.
 */
export async function oneFailsFast(
  picker: MakePicker,
  seed = 1,
): Promise<{ errorShare: number; quietShare: number; report: BalanceReport }> {
  const one = hosts(count, (index) => ({ answer: index === 0 ? steady({ latencyMs: 1, failing: 1 }) : steady({ latencyMs: usualMs }) }))
  const seconds = 180
  const report = await simulateBalance({ picker, seed, hosts: one, callsPerSecond, durationMs: seconds * 1_000 })
  const busy = report.hosts[0]?.perSecond.filter((calls) => calls > 0).length ?? 0
  return { errorShare: report.errorShare, quietShare: 1 - busy / seconds, report }
}

/** One host of twenty takes twenty times as long. `p99Ratio`: the 99th percentile of latency to what it is when all are alike. */
export async function oneIsSlow(picker: MakePicker, seed = 1): Promise<{ p99Ratio: number; share: number; report: BalanceReport }> {
  const one = hosts(count, (index) => ({ answer: steady({ latencyMs: index === 0 ? 20 * usualMs : usualMs }) }))
  const report = await simulateBalance({ picker, seed, hosts: one, callsPerSecond, durationMs: 100_000, warmUpMs })
  const alike = (await equalHosts(picker, seed)).report
  return { p99Ratio: report.latencyMs.p99 / alike.latencyMs.p99, share: report.hosts[0]?.share ?? 0, report }
}

/**
 * Every host refuses every call; three attempts, within a budget. `amplification`: attempts to calls. `reserve`: what the budget gives free,
 * as a part of the calls.
 */
export async function totalOutage(
  picker: MakePicker,
  { budget, perSecond, windowMs }: { budget: NonNullable<BalanceSimulationOptions['budget']>; perSecond: number; windowMs: number },
  seed = 1,
): Promise<{ amplification: number; reserve: number; report: BalanceReport }> {
  const durationMs = 60_000
  const down = hosts(count, () => ({ answer: steady({ latencyMs: 5, failing: 1 }) }))
  const report = await simulateBalance({ picker, seed, hosts: down, callsPerSecond, durationMs, attempts: 3, budget })
  const reserve = (perSecond * (durationMs + windowMs)) / 1_000 / report.calls
  return { amplification: report.attempts / report.calls, reserve, report }
}

/**
 * One host joins nineteen, after 20 s. `first` and `last`: its part in the second after, and 20 s later, as a part of the average of the
 * others.
 */
export async function oneJoins(picker: MakePicker, seed = 1): Promise<{ first: number; last: number; report: BalanceReport }> {
  const joining = hosts(count, (index) => ({ answer: steady({ latencyMs: usualMs }), ...(index === 0 && { joinsAtMs: 20_000 }) }))
  const report = await simulateBalance({ picker, seed, hosts: joining, callsPerSecond, durationMs: 60_000 })
  const part = (from: number, seconds: number) => {
    const calls = report.hosts.map(({ perSecond }) => perSecond.slice(from, from + seconds).reduce((sum, each) => sum + each, 0))
    const others = calls.slice(1).reduce((sum, each) => sum + each, 0) / (count - 1)
    return (calls[0] ?? 0) / others
  }
  return { first: part(20, 1), last: part(40, 20), report }
}

/**
 * Three zones of six hosts, each of which does 200 calls a second; all callers are in zone `a`, which can do 1,200. `ownShare`: the part
 * of the calls that stayed there.
 *
 * @param load calls a second
 */
export async function zones(picker: MakePicker, load: number, seed = 1): Promise<{ ownShare: number; report: BalanceReport }> {
  const all = hosts(18, (index) => ({ zone: 'abc'.charAt(index % 3), answer: queueing({ latencyMs: 10, parallel: 2 }) }))
  const report = await simulateBalance({ picker, seed, hosts: all, callsPerSecond: load, durationMs: 30_000, warmUpMs: 5_000, callers: 3 })
  const own = report.hosts.filter((_, index) => all[index]?.zone === 'a').reduce((sum, { share }) => sum + share, 0)
  return { ownShare: own, report }
}
