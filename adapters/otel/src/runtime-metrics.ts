import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { BatchObservableResult, MeterProvider, Observable } from '@opentelemetry/api'

const NANOSECONDS = 1e9

/**
 * Measures what the process itself does: how late the event loop is (a blocked event loop is an outage), how busy, how much
 * memory and processor time it uses. Names as in OpenTelemetry's conventions. Returns what stops it.
 */
export function runtimeMetrics(provider: MeterProvider): () => void {
  const meter = provider.getMeter('@banyan/otel')
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  let before = performance.eventLoopUtilization()
  const gauge = (name: string, description: string, unit: string) => meter.createObservableGauge(name, { description, unit })
  const mean = gauge('nodejs.eventloop.delay.mean', 'How late the event loop was on average since the last look', 's')
  const p99 = gauge('nodejs.eventloop.delay.p99', 'How late the event loop was, 99th percentile since the last look', 's')
  const max = gauge('nodejs.eventloop.delay.max', 'How late the event loop was at most since the last look', 's')
  const utilization = gauge('nodejs.eventloop.utilization', 'The share of time the event loop was busy since the last look', '1')
  const rss = gauge('process.memory.usage', 'Memory of the process that is in RAM', 'By')
  const heap = gauge('v8js.memory.heap.used', 'Memory of the JavaScript heap in use', 'By')
  const cpu = meter.createObservableCounter('process.cpu.time', { description: 'Processor time used', unit: 's' })
  const all: Observable[] = [mean, p99, max, utilization, rss, heap, cpu]

  const observe = (result: BatchObservableResult) => {
    // Empty until the first look after 10 ms.
    if (delay.count > 0) {
      result.observe(mean, delay.mean / NANOSECONDS)
      result.observe(p99, delay.percentile(99) / NANOSECONDS)
      result.observe(max, delay.max / NANOSECONDS)
      delay.reset()
    }
    const now = performance.eventLoopUtilization()
    result.observe(utilization, performance.eventLoopUtilization(now, before).utilization)
    before = now
    const memory = process.memoryUsage()
    result.observe(rss, memory.rss)
    result.observe(heap, memory.heapUsed)
    const { user, system } = process.cpuUsage()
    result.observe(cpu, user / 1e6, { 'cpu.mode': 'user' })
    result.observe(cpu, system / 1e6, { 'cpu.mode': 'system' })
  }
  meter.addBatchObservableCallback(observe, all)
  return () => {
    meter.removeBatchObservableCallback(observe, all)
    delay.disable()
  }
}
