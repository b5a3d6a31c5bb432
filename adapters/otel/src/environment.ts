import { type Logger, withoutPassword } from '@banyan/core'
import { parseKeyPairsIntoRecord } from '@opentelemetry/core'

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What the standard variables say, read once. */
export interface Settings {
  readonly disabled: boolean
  readonly service: string
  readonly attributes: Readonly<Record<string, string>>
  /** Where spans go, as full addresses. */
  readonly collectors: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  readonly exportTimeoutMs: number
  readonly batchDelayMs: number
  readonly batchSize: number
  readonly queueSize: number
}

/**
 * Reads the variables of OpenTelemetry's specification and `BANYAN_TRACE_COLLECTOR`. A value that makes no sense is named in one
 * warning and ignored, as the specification wants it.
 *
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
export function readEnvironment(env: Environment, options: { service: string; collectors: readonly string[]; log: Logger }): Settings {
  const { service, collectors, log } = options
  const number = (name: string, fallback: number) => readNumber(env, name, fallback, log)
  const exportTimeoutMs = number('OTEL_EXPORTER_OTLP_TIMEOUT', 5_000)
  const { 'service.name': named, ...attributes } = parseKeyPairsIntoRecord(env.OTEL_RESOURCE_ATTRIBUTES)
  const queueSize = number('OTEL_BSP_MAX_QUEUE_SIZE', 8_192)
  return {
    disabled: env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true',
    service: env.OTEL_SERVICE_NAME || named || service,
    attributes,
    collectors: env.OTEL_TRACES_EXPORTER === 'none' ? [] : collectorsOf(env, collectors, log),
    headers: parseKeyPairsIntoRecord(env.OTEL_EXPORTER_OTLP_TRACES_HEADERS ?? env.OTEL_EXPORTER_OTLP_HEADERS),
    exportTimeoutMs: number('OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', exportTimeoutMs),
    batchDelayMs: number('OTEL_BSP_SCHEDULE_DELAY', 500),
    batchSize: Math.min(queueSize, number('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512)),
    queueSize,
  }
}

function collectorsOf(env: Environment, given: readonly string[], log: Logger): string[] {
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces, OTEL_EXPORTER_OTLP_ENDPOINT: base, BANYAN_TRACE_COLLECTOR: banyan } = env
  const wanted = [
    ...(traces ? [['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', traces] as const] : []),
    // The variable for all signals is a base; the one for traces is taken as it stands.
    ...(base && !traces ? [['OTEL_EXPORTER_OTLP_ENDPOINT', `${base.replace(/\/+$/, '')}/v1/traces`] as const] : []),
    ...(banyan?.split(',') ?? []).map((url) => ['BANYAN_TRACE_COLLECTOR', withPath(url.trim())] as const),
    ...given.map((url) => ['collectors', withPath(url)] as const),
  ]
  const urls = wanted.flatMap(([name, url]) => {
    if (URL.canParse(url) && /^https?:/.test(url)) return [url]
    const shown = withoutSecrets(url)
    log.warn({ [name]: shown }, `telemetry: ${name} is "${shown}", wanted an http or https address; no spans go there`)
    return []
  })
  return [...new Set(urls)]
}

/** An address as a log may have it, also one that cannot be read: without name and password, and without its query, where keys stand. */
export function withoutSecrets(url: string): string {
  return withoutPassword(url).replace(/\?.*$/s, '?***')
}

/** `http://127.0.0.1:4318` means its `/v1/traces`. */
function withPath(url: string): string {
  return URL.canParse(url) && new URL(url).pathname === '/' ? new URL('/v1/traces', url).href : url
}

/** A timer waits 2^31 ms at most; a longer one would fire at once. */
const MOST = 2_000_000_000

function readNumber(env: Environment, name: string, fallback: number, log: Logger): number {
  const text = env[name]?.trim()
  if (!text) return fallback
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value <= MOST) return value
  const wanted = value > MOST ? `a whole number up to ${MOST}` : 'a whole number above 0'
  log.warn({ [name]: text }, `telemetry: ${name} is "${text}", wanted ${wanted}; using ${fallback}`)
  return fallback
}
