import { createNoopMeter, type Histogram, type Meter, type MeterProvider, metrics } from '@opentelemetry/api'

/** Bounds of the histograms, seconds: those of OpenTelemetry's conventions for HTTP, and finer below. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

interface Instruments {
  readonly provider: MeterProvider
  readonly requests: Histogram | undefined
  readonly tries: Histogram | undefined
}

let known: Instruments | undefined

/** From the head of a request to the end of its answer, seconds. `undefined`: nobody measures, and nothing need be found out. */
export function requests(): Histogram | undefined {
  return instruments().requests
}

/** From a try's start to the head of its answer, or its failure, seconds. `undefined`: the same. */
export function tries(): Histogram | undefined {
  return instruments().tries
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE'])

/**
 * A method as spans and metrics have it: a client of HTTP/2 may make up as many as it likes, and each would be a series of its own.
 *
 * @see OpenTelemetry, semantic conventions for HTTP, `http.request.method`
 */
export function measuredMethod(method: string): string {
  return METHODS.has(method) ? method : '_OTHER'
}

/** Made anew when another provider is set, as programs do at their start and tests in between. */
function instruments(): Instruments {
  const provider = metrics.getMeterProvider()
  if (known?.provider === provider) return known
  const meter = provider.getMeter('@banyan/gateway')
  known = meter === createNoopMeter() ? { provider, requests: undefined, tries: undefined } : { provider, ...made(meter) }
  return known
}

function made(meter: Meter): Pick<Instruments, 'requests' | 'tries'> {
  const duration = (name: string, description: string) =>
    meter.createHistogram(name, { unit: 's', advice: { explicitBucketBoundaries: SECONDS }, description })
  return {
    requests: duration('http.server.request.duration', 'From the head of a request to the end of its answer'),
    tries: duration('http.client.request.duration', 'From the start of a try at an upstream to the head of its answer, or its failure'),
  }
}
