import { type Logger, messageOf } from '@banyan/core'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { withoutSecrets } from './environment.ts'

export interface ExporterOptions {
  /** `http://127.0.0.1:4318/v1/traces` */
  url: string
  headers: Readonly<Record<string, string>>
  /** How long one batch may take, tries included, milliseconds. */
  timeoutMs: number
  log: Logger
}

/**
 * Sends spans to a collector by OTLP over HTTP, as JSON. Loaded with the first batch, as it is the largest part of the SDK and
 * a program should not wait for it. A collector that is away costs nothing but one warning, until it is back.
 */
export function otlpExporter(options: ExporterOptions): SpanExporter {
  const { url, headers, timeoutMs, log } = options
  const collector = withoutSecrets(url)
  let inner: Promise<SpanExporter> | undefined
  let failing = false

  function load(): Promise<SpanExporter> {
    inner ??= import('@opentelemetry/exporter-trace-otlp-http').then(
      ({ OTLPTraceExporter }) => new OTLPTraceExporter({ url, headers: { ...headers }, timeoutMillis: timeoutMs }),
    )
    return inner
  }

  function note({ code, error }: ExportResult): void {
    const failed = code === ExportResultCode.FAILED
    if (failed && !failing) log.warn({ collector }, `telemetry: cannot send spans to ${collector}: ${messageOf(error)}; going on without`)
    if (!failed && failing) log.info({ collector }, `telemetry: ${collector} takes spans again`)
    failing = failed
  }

  return {
    export(spans, done) {
      const finish = (result: ExportResult) => {
        note(result)
        done(result)
      }
      load().then(
        (exporter) => exporter.export(spans, finish),
        (error: Error) => finish({ code: ExportResultCode.FAILED, error }),
      )
    },
    async shutdown() {
      await (await inner)?.shutdown()
    },
    async forceFlush() {
      await (await inner)?.forceFlush?.()
    },
  }
}
