import { codeOf, type Logger, messageOf, stackOf } from '@banyan/core'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { type DestinationStream, pino, stdSerializers } from 'pino'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LoggerOptions {
  /** Stands in every line. */
  service: string
  /** The least important level that is written. Hosts take it from `LOG_LEVEL`. Default `info`. */
  level?: LogLevel
  /** Where the lines go: anything with `write(line)`. Default: standard output. */
  destination?: DestinationStream
}

const LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error', 'silent'] satisfies LogLevel[]

/**
 * Creates a logger that writes one JSON line an entry, with the trace id of the active span. A field `error` is written with its
 * stack and causes.
 *
 * @throws {RangeError} for an unknown level
 */
export function createLogger(options: LoggerOptions): Logger {
  const { service, level = 'info', destination } = options
  if (!LEVELS.includes(level)) throw new RangeError(`cannot create logger: "level" is "${level}", wanted one of ${LEVELS.join(', ')}`)
  const settings = {
    level,
    base: { service },
    messageKey: 'message',
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: errorFields },
    mixin: traceOf,
  }
  return destination ? pino(settings, destination) : pino(settings)
}

/**
 * An error, with its stack and causes. Code throws what it likes: one that cannot be looked at, or not be marked as the serializer does
 * since it is frozen, is told of in words, as whoever logs an error must not fail of it.
 */
function errorFields(error: unknown): unknown {
  try {
    return stdSerializers.errWithCause(error as Error)
  } catch {
    return { message: messageOf(error), code: codeOf(error), stack: stackOf(error) }
  }
}

/** The level that an environment variable names, for hosts: unset or empty is `info`. */
export function logLevelOf(text: string | undefined): LogLevel {
  const level = text ? text.toLowerCase() : 'info'
  if (!LEVELS.includes(level)) throw new RangeError(`cannot read LOG_LEVEL: it is "${text}", wanted one of ${LEVELS.join(', ')}`)
  // Checked in the line above.
  return level as LogLevel
}

function traceOf(): object {
  const context = trace.getActiveSpan()?.spanContext()
  return context && isSpanContextValid(context) ? { traceId: context.traceId, spanId: context.spanId } : {}
}
