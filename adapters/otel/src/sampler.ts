import type { Logger } from '@banyan/core'
import { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, type Sampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace'
import type { Environment } from './environment.ts'

/**
 * The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name; `parentbased_always_on` when unset or unknown, the
 * latter with a warning.
 */
export function samplerOf(env: Environment, log: Logger): Sampler {
  const name = env.OTEL_TRACES_SAMPLER || 'parentbased_always_on'
  const root = rootOf(name.replace(/^parentbased_/, ''), env, log)
  if (root) return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root
  log.warn({ OTEL_TRACES_SAMPLER: name }, `telemetry: OTEL_TRACES_SAMPLER is "${name}", which is not known; sampling every trace`)
  return new ParentBasedSampler({ root: new AlwaysOnSampler() })
}

function rootOf(name: string, env: Environment, log: Logger): Sampler | undefined {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler()
    case 'always_off':
      return new AlwaysOffSampler()
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratioOf(env.OTEL_TRACES_SAMPLER_ARG, log))
    default:
      return undefined
  }
}

function ratioOf(text: string | undefined, log: Logger): number {
  if (!text) return 1
  const ratio = Number(text)
  if (ratio >= 0 && ratio <= 1) return ratio
  log.warn({ OTEL_TRACES_SAMPLER_ARG: text }, `telemetry: OTEL_TRACES_SAMPLER_ARG is "${text}", wanted 0 to 1; sampling every trace`)
  return 1
}
