import type { Instance, World } from '@banyan/core'
import { fresh, type Standing } from './outliers.ts'

/** How the next endpoint is chosen. `p2c`: the better of two drawn by weight. `round-robin`: in turn, by weight. */
export type Balance = 'p2c' | 'round-robin'

/** What a failed call counts as, milliseconds: a host that fails fast must not look like a fast host. */
const errorMs = 1_000

/** How fast old latencies are forgotten: after this time a peak weighs 1/e. Finagle's default. */
const decayMs = 10_000

/** The load of an endpoint that has calls in flight but has not answered yet; above any real latency. */
const unknownMs = 60_000

/** One instance and what this process has learnt about it. */
export interface Endpoint {
  instance: Instance
  weight: number
  inFlight: number
  /** Peak-sensitive moving average of the latency; `undefined` before the first answer. */
  latencyMs: number | undefined
  /** When `latencyMs` was true. */
  measuredAt: number
  standing: Standing
}

/** An endpoint without a history. */
export function endpoint(instance: Instance): Endpoint {
  return { instance, weight: instance.weight ?? 1, inFlight: 0, latencyMs: undefined, measuredAt: 0, standing: fresh }
}

/**
 * Takes a call's outcome into the endpoint's latency: rises at once to a peak, falls slowly.
 *
 * @see Finagle, "Peak EWMA"
 */
export function observe(endpoint: Endpoint, ok: boolean, latencyMs: number, now: number): void {
  const seen = ok ? latencyMs : Math.max(latencyMs, errorMs)
  const known = endpoint.latencyMs
  if (known === undefined || seen >= decayed(endpoint, now)) endpoint.latencyMs = seen
  else {
    const keep = Math.exp((endpoint.measuredAt - now) / decayMs)
    endpoint.latencyMs = known * keep + seen * (1 - keep)
  }
  endpoint.measuredAt = now
}

/** Chooses among endpoints. */
export interface Balancer {
  /** Takes the endpoints to choose among; called when they change. Takes time in their number. */
  reset(endpoints: readonly Endpoint[]): void
  /** One of them, `undefined` when there are none. Takes the same time however many there are; allocates nothing. */
  next(now: number): Endpoint | undefined
}

/** Creates a balancer. It draws its random numbers from `world`, so a seed repeats its choices. */
export function balancer(balance: Balance, world: World): Balancer {
  return balance === 'p2c' ? twoChoices(world) : inTurn()
}

/**
 * Draws two endpoints by weight and takes the one with the lower latency times calls in flight.
 *
 * @see Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing"
 */
function twoChoices(world: World): Balancer {
  let endpoints: readonly Endpoint[] = []
  let alias: AliasTable | undefined
  const draw = () => {
    const at = world.random() * endpoints.length
    const column = Math.floor(at)
    // The fraction decides within the column, so that one random number is enough.
    if (!alias || at - column < (alias.keep[column] ?? 1)) return column
    return alias.other[column] ?? column
  }
  const drawOther = (one: number) => {
    if (!alias) return (one + 1 + Math.floor(world.random() * (endpoints.length - 1))) % endpoints.length
    // One more try when it is the same; with very unequal weights the same may rightly come again.
    const other = draw()
    return other === one ? draw() : other
  }
  return {
    reset(next) {
      endpoints = next
      alias = aliasTable(next)
    },
    next(now) {
      const first = draw()
      const one = endpoints[first]
      if (endpoints.length < 2) return one
      const two = endpoints[drawOther(first)]
      if (!one || !two) return one
      return load(two, now) < load(one, now) ? two : one
    },
  }
}

/** What one more call would cost here. Weight widens the endpoint: ten times the weight carries ten times the calls. */
function load(endpoint: Endpoint, now: number): number {
  if (endpoint.latencyMs === undefined) return endpoint.inFlight === 0 ? 0 : unknownMs * endpoint.inFlight
  return decayed(endpoint, now) * (endpoint.inFlight / endpoint.weight + 1)
}

/** The known latency as of `now`: a slow host is given another try when nothing was heard of it for long. */
function decayed(endpoint: Endpoint, now: number): number {
  if (endpoint.latencyMs === undefined) return 0
  return now <= endpoint.measuredAt ? endpoint.latencyMs : endpoint.latencyMs * Math.exp((endpoint.measuredAt - now) / decayMs)
}

interface AliasTable {
  readonly keep: Float64Array
  readonly other: Uint32Array
}

/**
 * Draws by weight in constant time. `undefined` when all weights are the same.
 *
 * @see Vose, "A linear algorithm for generating random numbers with a given distribution" (1991)
 */
function aliasTable(endpoints: readonly Endpoint[]): AliasTable | undefined {
  const first = endpoints[0]
  if (!first || endpoints.every(({ weight }) => weight === first.weight)) return undefined
  const total = endpoints.reduce((sum, { weight }) => sum + weight, 0)
  const keep = Float64Array.from(endpoints, ({ weight }) => (weight * endpoints.length) / total)
  const other = new Uint32Array(endpoints.length)
  const small: number[] = []
  const large: number[] = []
  for (const [index, share] of keep.entries()) (share < 1 ? small : large).push(index)
  while (small.length > 0 && large.length > 0) {
    const [less, more] = [small.pop() ?? 0, large.pop() ?? 0]
    other[less] = more
    const rest = (keep[more] ?? 0) + (keep[less] ?? 0) - 1
    keep[more] = rest
    ;(rest < 1 ? small : large).push(more)
  }
  // What is left over is 1 but for rounding.
  for (const index of [...small, ...large]) keep[index] = 1
  return { keep, other }
}

/**
 * In turn, each as often as its weight says, spread out.
 *
 * @see gRPC proposal A58, "static stride scheduler": an endpoint is passed over in the rounds its weight does not reach
 */
function inTurn(): Balancer {
  let endpoints: readonly Endpoint[] = []
  let heaviest = 1
  let turn = 0
  return {
    reset(next) {
      endpoints = next
      heaviest = next.reduce((max, { weight }) => Math.max(max, weight), 1)
    },
    next() {
      if (endpoints.length === 0) return undefined
      // The heaviest is never passed over, so a round is the longest this can run.
      for (;;) {
        const index = turn % endpoints.length
        const round = Math.floor(turn / endpoints.length)
        turn = (turn + 1) % 4_294_967_296
        const candidate = endpoints[index]
        if (!candidate) return undefined
        const place = (candidate.weight * round + index * Math.floor(heaviest / 2)) % heaviest
        if (place >= heaviest - candidate.weight) return candidate
      }
    },
  }
}
