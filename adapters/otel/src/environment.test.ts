import { type Logger, silentLogger } from '@banyan/core'
import { expect, test } from 'vitest'
import { readEnvironment } from './environment.ts'
import { samplerOf } from './sampler.ts'

function read(env: Record<string, string>, collectors: string[] = []) {
  const warnings: string[] = []
  const log: Logger = { ...silentLogger, warn: (_, message) => void warnings.push(message) }
  return { settings: readEnvironment(env, { service: 'orders', collectors, log }), sampler: samplerOf(env, log).toString(), warnings }
}

test('without variables nothing is sent anywhere and every trace is sampled', () => {
  const { settings, sampler, warnings } = read({})
  expect(settings).toMatchObject({ disabled: false, service: 'orders', collectors: [], batchDelayMs: 500 })
  expect(sampler).toContain('AlwaysOn')
  expect(warnings).toEqual([])
})

test('the endpoint for all signals is a base, the one for traces is taken as it stands', () => {
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4318/' }).settings.collectors).toEqual(['http://a:4318/v1/traces'])
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4318/otlp' }).settings.collectors).toEqual(['http://a:4318/otlp/v1/traces'])
  expect(read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b/x' }).settings.collectors).toEqual([
    'http://b/x',
  ])
})

test('further collectors come on top, each once', () => {
  const { collectors } = read({ BANYAN_TRACE_COLLECTOR: 'http://a:1, http://b:2/in', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:1' }, [
    'http://c:3',
  ]).settings
  expect(collectors).toEqual(['http://a:1/v1/traces', 'http://b:2/in', 'http://c:3/v1/traces'])
})

test('OTEL_TRACES_EXPORTER=none sends nothing', () => {
  expect(read({ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a' }).settings.collectors).toEqual([])
})

test('the service is named by OTEL_SERVICE_NAME, then by the resource attributes, then by the program', () => {
  const attributes = { OTEL_RESOURCE_ATTRIBUTES: 'service.name=shop,deployment.environment=test' }
  expect(read({ ...attributes, OTEL_SERVICE_NAME: 'till' }).settings.service).toBe('till')
  expect(read(attributes).settings).toMatchObject({ service: 'shop', attributes: { 'deployment.environment': 'test' } })
})

test('OTEL_SDK_DISABLED is heard in any case', () => {
  expect(read({ OTEL_SDK_DISABLED: 'True' }).settings.disabled).toBe(true)
  expect(read({ OTEL_SDK_DISABLED: '1' }).settings.disabled).toBe(false)
})

test('samplers are chosen by their standard names', () => {
  expect(read({ OTEL_TRACES_SAMPLER: 'always_off' }).sampler).toBe('AlwaysOffSampler')
  expect(read({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }).sampler).toContain('0.25')
})

test('values that make no sense are named once and ignored', () => {
  const { settings, warnings } = read({
    OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
    OTEL_BSP_SCHEDULE_DELAY: 'soon',
    OTEL_TRACES_SAMPLER: 'sometimes',
  })
  expect(settings).toMatchObject({ collectors: [], batchDelayMs: 500 })
  expect(warnings).toHaveLength(3)
  expect(warnings.join('\n')).toContain('OTEL_BSP_SCHEDULE_DELAY is "soon", wanted a whole number above 0; using 500')
})

test('no warning says the password or the key of a collector', () => {
  const { settings, warnings } = read({ BANYAN_TRACE_COLLECTOR: 'ftp://me:s@cret@a/b?key=secret, http://me:secret@:x' })
  expect(settings.collectors).toEqual([])
  expect(warnings).toEqual([
    'telemetry: BANYAN_TRACE_COLLECTOR is "ftp://***@a/b?***", wanted an http or https address; no spans go there',
    'telemetry: BANYAN_TRACE_COLLECTOR is "http://***@:x", wanted an http or https address; no spans go there',
  ])
})

test('a time that no timer can wait is as little one as none', () => {
  const names = ['OTEL_EXPORTER_OTLP_TIMEOUT', 'OTEL_BSP_SCHEDULE_DELAY']
  const { settings, warnings } = read(Object.fromEntries(names.map((name) => [name, '3000000000'])))
  expect(settings).toMatchObject({ exportTimeoutMs: 5_000, batchDelayMs: 500 })
  expect(warnings).toEqual([
    'telemetry: OTEL_EXPORTER_OTLP_TIMEOUT is "3000000000", wanted a whole number up to 2000000000; using 5000',
    'telemetry: OTEL_BSP_SCHEDULE_DELAY is "3000000000", wanted a whole number up to 2000000000; using 500',
  ])
})
