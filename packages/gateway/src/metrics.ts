import { type Histogram, type MeterProvider, metrics } from '@opentelemetry/api'

/** Bounds of the histograms, seconds: those of OpenTelemetry's conventions for HTTP, and finer below. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

interface Instruments {
  readonly provider: MeterProvider
  readonly requests: Histogram
  readonly tries: Histogram
}

let known: Instruments | undefined

/** From the head of a request to the end of its answer, seconds. */
export function requests(): Histogram {
  return instruments().requests
}

/** From a try's start to the head of its answer, or its failure, seconds. */
export function tries(): Histogram {
  return instruments().tries
}

/** Made anew when another provider is set, as programs do at their start and tests in between. */
function instruments(): Instruments {
  const provider = metrics.getMeterProvider()
  if (known?.provider === provider) return known
  const meter = provider.getMeter('@banyan/gateway')
  const advice = { explicitBucketBoundaries: SECONDS }
  known = {
    provider,
    requests: meter.createHistogram('http.server.request.duration', {
      ...{ unit: 's', advice, description: 'From the head of a request to the end of its answer' },
    }),
    tries: meter.createHistogram('http.client.request.duration', {
      ...{ unit: 's', advice, description: 'From the start of a try at an upstream to the head of its answer, or its failure' },
    }),
  }
  return known
}
