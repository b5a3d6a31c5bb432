import { type Logger, silentLogger, systemWorld, type World } from '@banyan/core'
import { context, metrics, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { type Environment, readEnvironment, type Settings } from './environment.ts'
import { TelemetryError } from './errors.ts'
import { otlpExporter } from './exporter.ts'
import { prometheusText } from './prometheus.ts'
import { runtimeMetrics } from './runtime-metrics.ts'
import { samplerOf } from './sampler.ts'

export interface TelemetryOptions {
  /** `service.name` of the process; `OTEL_SERVICE_NAME` goes before it. Spans name their own service in `banyan.service`. */
  service: string
  /** `service.instance.id`. Default: a new id. */
  instanceId?: string
  /** Default: the process's own. */
  env?: Environment
  /** Further collectors beside those of the environment: `http://127.0.0.1:4318`, or the full address. */
  collectors?: readonly string[]
  /** Hears of a collector that is away, once, and of variables that make no sense. Default: silent. */
  log?: Logger
  world?: World
  /** How long `flush` and `stop` may take, milliseconds. Default 2,000. */
  flushTimeoutMs?: number
}

/** The running telemetry of a process. */
export interface Telemetry {
  /** All metrics in Prometheus' text format; empty with `OTEL_SDK_DISABLED=true`. */
  metricsText(): Promise<string>
  /** Sends the spans that are over. Never rejects; resolves when the time is up at the latest. */
  flush(): Promise<void>
  /** Flushes and takes everything down. Never rejects, bounded in time, safe to call twice. */
  stop(): Promise<void>
}

/**
 * Puts OpenTelemetry's SDK together for this process: tracer, meter, W3C trace context and baggage, asynchronous context. The
 * packages use `@opentelemetry/api` alone and find what is registered here; call it before anything else starts.
 *
 * @throws {TelemetryError} `ERR_TELEMETRY_RUNNING` when there is a tracer or context manager in this process already
 */
export function startTelemetry(options: TelemetryOptions): Telemetry {
  const { env = process.env, collectors = [], log = silentLogger, world = systemWorld, flushTimeoutMs = 2_000 } = options
  const { instanceId = world.uuid() } = options
  if (!(flushTimeoutMs >= 0)) throw new RangeError(`cannot start telemetry: "flushTimeoutMs" is ${flushTimeoutMs}, wanted a number from 0`)
  const settings = readEnvironment(env, { service: options.service, collectors, log })
  if (!context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())) throw running()
  if (settings.disabled) return withoutSdk()
  const resource = resourceOf(settings, instanceId)
  const tracers = new TracerProvider({ resource, sampler: samplerOf(env, log), spanProcessors: processorsOf(settings, log) })
  const prometheus = prometheusText()
  const meters = new MeterProvider({ resource, readers: [prometheus.reader] })
  if (!trace.setGlobalTracerProvider(tracers)) {
    context.disable()
    throw running()
  }
  propagateContext()
  metrics.setGlobalMeterProvider(meters)
  const stopRuntimeMetrics = runtimeMetrics(meters)
  let stopped: Promise<void> | undefined

  async function stop(): Promise<void> {
    stopRuntimeMetrics()
    await within(world, flushTimeoutMs, tracers.shutdown(), log)
    await within(world, flushTimeoutMs, meters.shutdown(), log)
    unregister()
  }

  return {
    metricsText: () => prometheus.text(),
    flush: () => within(world, flushTimeoutMs, tracers.forceFlush({ timeoutMillis: flushTimeoutMs }), log),
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

function running(): TelemetryError {
  return new TelemetryError('ERR_TELEMETRY_RUNNING', 'cannot start telemetry: this process has some already; stop that first')
}

/** Trace context goes on through this process even where it records nothing, as the specification wants it. */
function propagateContext(): void {
  propagation.setGlobalPropagator(new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }))
}

function withoutSdk(): Telemetry {
  propagateContext()
  return { metricsText: async () => '', async flush() {}, stop: async () => unregister() }
}

function unregister(): void {
  trace.disable()
  metrics.disable()
  propagation.disable()
  context.disable()
}

function resourceOf({ service, attributes }: Settings, instanceId: string): Resource {
  return defaultResource().merge(
    resourceFromAttributes({ 'process.pid': process.pid, 'service.instance.id': instanceId, ...attributes, 'service.name': service }),
  )
}

/** A queue for each collector, so that one that is away does not hold up the others. */
function processorsOf(settings: Settings, log: Logger): BatchSpanProcessor[] {
  const { collectors, headers, exportTimeoutMs, batchDelayMs, batchSize, queueSize } = settings
  return collectors.map(
    (url) =>
      new BatchSpanProcessor({
        exporter: otlpExporter({ url, headers, timeoutMs: exportTimeoutMs, log }),
        scheduledDelayMillis: batchDelayMs,
        maxExportBatchSize: batchSize,
        maxQueueSize: queueSize,
        // The exporter's own bound comes first; this one is for an exporter that never answers.
        exportTimeoutMillis: exportTimeoutMs + 1_000,
      }),
  )
}

/** Waits for `work`, no longer than `timeoutMs`. What fails here was said by the exporter already. */
function within(world: World, timeoutMs: number, work: Promise<unknown>, log: Logger): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      timer.cancel()
      resolve()
    }
    const timer = world.after(timeoutMs, resolve)
    work.then(end, (error: unknown) => {
      log.debug({ error }, 'telemetry: not everything was sent')
      end()
    })
  })
}
