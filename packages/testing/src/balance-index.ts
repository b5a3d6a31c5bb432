// Simulating a balancer needs no test library, so it has a door of its own: @banyan/testing/balance

export type { HostAnswer, HostCall, SimulatedHost } from './balance-host.ts'
// How hosts answer
export { hosts, queueing, steady } from './balance-host.ts'
// What comes of it
export type { BalanceReport, HostReport } from './balance-report.ts'
export type { BalanceSimulationOptions, SimulatedPick, SimulatedPicker, SimulatedSite } from './balance-simulation.ts'
// Run callers against them
export { simulateBalance } from './balance-simulation.ts'
export type { MakePicker } from './balance-situations.ts'
// Situations to try a balancer in, each with the figure that tells
export { equalHosts, oneFailsFast, oneIsSlow, oneJoins, totalOutage, zones } from './balance-situations.ts'
