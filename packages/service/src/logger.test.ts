import { type ContextManager, context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import { createLogger, type LoggerOptions, logLevelOf } from './logger.ts'

function setup(options: Partial<LoggerOptions> = {}) {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  return { lines, log: createLogger({ service: 'orders', destination, ...options }) }
}

test('writes one JSON line an entry, with the service and the fields', () => {
  const { lines, log } = setup()
  log.info({ orderId: '7' }, 'placed')
  expect(lines).toEqual([{ level: 'info', time: expect.any(Number), service: 'orders', orderId: '7', message: 'placed' }])
})

test('writes nothing below its level', () => {
  const { lines, log } = setup({ level: 'warn' })
  log.debug({}, 'a')
  log.info({}, 'b')
  log.warn({}, 'c')
  log.error({}, 'd')
  expect(lines.map((line) => line.message)).toEqual(['c', 'd'])
})

test('an error is written with its code and causes', () => {
  const { lines, log } = setup()
  log.error({ error: Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'ERR_X' }) }, 'failed')
  expect(lines[0]?.error).toMatchObject({ message: 'outer', code: 'ERR_X', cause: { message: 'inner' } })
})

test.each<[string, unknown, object]>([
  ['is frozen', Object.freeze(Object.assign(new Error('out of paper'), { code: 'ERR_X' })), { message: 'out of paper', code: 'ERR_X' }],
  [
    'has a frozen cause',
    new Error('outer', { cause: Object.freeze(new Error('inner')) }),
    { message: 'outer', stack: expect.stringContaining('logger.test') },
  ],
  ['cannot be looked at', new Proxy({}, { get: () => fail(), has: () => fail(), getPrototypeOf: () => fail() }), {}],
  ['throws for its message', Object.defineProperty(new Error('x'), 'message', { get: fail }), {}],
])('an error that %s is written all the same', (_what, error, fields) => {
  const { lines, log } = setup()
  log.error({ error }, 'failed')
  expect(lines).toMatchObject([{ level: 'error', message: 'failed', error: fields }])
})

function fail(): never {
  throw new Error('cannot be had')
}

test('carries the trace id of the active span', () => {
  const span = trace.wrapSpanContext({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 })
  const active: ContextManager = {
    active: () => trace.setSpan(ROOT_CONTEXT, span),
    with: (_, work, self, ...rest) => work.call(self as never, ...rest),
    bind: (_, target) => target,
    enable: () => active,
    disable: () => active,
  }
  context.setGlobalContextManager(active)
  try {
    const { lines, log } = setup()
    log.info({}, 'inside')
    expect(lines[0]).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' })
  } finally {
    context.disable()
  }
})

test('levels are checked', () => {
  expect([logLevelOf(undefined), logLevelOf(''), logLevelOf('WARN')]).toEqual(['info', 'info', 'warn'])
  expect(() => logLevelOf('loud')).toThrow('LOG_LEVEL: it is "loud", wanted one of debug, info, warn, error, silent')
  expect(() => setup({ level: 'loud' as never })).toThrow('"level" is "loud"')
})
