/** An instance of the simulated service: what it says of itself, when it is listed, and how it answers. */
export interface SimulatedHost {
  /** Unique among the hosts. */
  readonly id: string
  /** Default 1. */
  readonly weight?: number
  readonly zone?: string
  /** When the registry begins to list it, milliseconds from the start. Default 0. */
  readonly joinsAtMs?: number
  /** When the registry lists it no longer. Default: never. Calls that are under way end as they would. */
  readonly leavesAtMs?: number
  /** How it answers a call that begins now. */
  readonly answer: (call: HostCall) => HostAnswer
}

/** A call as a host sees it. */
export interface HostCall {
  /** Milliseconds from the start of the simulation. */
  readonly atMs: number
  /** Calls at this host that have not ended, without this one. */
  readonly inFlight: number
  /** A number in [0, 1), from the simulation's seed. */
  random(): number
}

/** Whether the call succeeds, and how long it takes. */
export interface HostAnswer {
  readonly ok: boolean
  readonly latencyMs: number
}

/** A host's answers: each call takes `latencyMs`, give or take `spread` of it, evenly; a `failing` part of the calls fails. */
export function steady(options: { latencyMs: number; spread?: number; failing?: number }): SimulatedHost['answer'] {
  const { latencyMs, spread = 0.5, failing = 0 } = options
  return ({ random }) => ({ latencyMs: latencyMs * (1 + spread * (2 * random() - 1)), ok: random() >= failing })
}

/**
 * A host's answers: it works at up to `parallel` calls at a time, each `latencyMs` give or take half; more wait in line. One that is given
 * more than it can do grows slow, as real ones do.
 */
export function queueing(options: { latencyMs: number; parallel: number }): SimulatedHost['answer'] {
  const { latencyMs, parallel } = options
  /** When each of its workers is done. */
  const free = Array.from({ length: parallel }, () => 0)
  return ({ atMs, random }) => {
    const worker = free.indexOf(Math.min(...free))
    const begins = Math.max(atMs, free[worker] ?? 0)
    const ends = begins + latencyMs * (0.5 + random())
    free[worker] = ends
    return { ok: true, latencyMs: ends - atMs }
  }
}

/** So many hosts, `host-0` and on; `each` may change one. */
export function hosts(
  count: number,
  each: (index: number) => Partial<SimulatedHost> & Pick<SimulatedHost, 'answer'>,
): readonly SimulatedHost[] {
  return Array.from({ length: count }, (_, index) => ({ id: `host-${index}`, ...each(index) }))
}
