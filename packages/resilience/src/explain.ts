import type { LayerFacts } from './layer.ts'

/** What a policy does to a call, told from its layers. */
export interface Explanation {
  /** The layers in words, outermost first. */
  readonly order: readonly string[]
  /** The longest a call can take, milliseconds, without the time of a fallback function. `Infinity`: nothing bounds it. */
  readonly worstCaseMs: number
  /** How many calls of the dependency one call can become. */
  readonly maxAttempts: number
  /** Orders and values that do harm or have no effect. Empty: fine. */
  readonly warnings: readonly string[]
}

/** Judges a policy's layers, outermost first. */
export function explain(layers: readonly LayerFacts[]): Explanation {
  const worstCaseMs = worstCase(layers)
  return {
    order: layers.map(describe),
    worstCaseMs,
    maxAttempts: layers.reduce((product, layer) => product * timesOf(layer), 1),
    warnings: [...boundWarnings(layers, worstCaseMs), ...layers.flatMap((layer, index) => orderWarnings(layer, layers.slice(index + 1)))],
  }
}

/** How many calls one becomes in this layer. */
function timesOf(layer: LayerFacts): number {
  if (layer.kind === 'retry') return layer.attempts
  return layer.kind === 'hedge' ? 1 + layer.extra : 1
}

/** From the inside out; the function itself takes for ever. */
function worstCase(layers: readonly LayerFacts[]): number {
  return layers.reduceRight((inside, layer) => {
    if (layer.kind === 'timeout') return Math.min(layer.timeoutMs, inside)
    if (layer.kind === 'retry') return layer.attempts * inside + layer.waitsMs
    if (layer.kind === 'bulkhead' || layer.kind === 'rate-limit') return layer.maxWaitMs + inside
    if (layer.kind === 'circuit-breaker') return layer.waitMs + inside
    if (layer.kind === 'hedge') return hedged(layer, inside)
    return inside
  }, Number.POSITIVE_INFINITY)
}

/** A call that fails waits for its hedges; one that is over before a hedge is due gets none. */
function hedged({ extra, afterMs }: Extract<LayerFacts, { kind: 'hedge' }>, inside: number): number {
  if (afterMs === undefined) return inside * (1 + extra)
  return afterMs < inside ? extra * afterMs + inside : inside
}

function describe(layer: LayerFacts): string {
  switch (layer.kind) {
    case 'timeout':
      return `timeout of ${layer.timeoutMs} ms`
    case 'retry':
      return `retry, up to ${layer.attempts} attempts`
    case 'circuit-breaker':
      return `circuit breaker, ${layer.text}`
    case 'bulkhead':
      return `bulkhead of ${layer.limit}, queue of ${layer.queue}`
    case 'rate-limit':
      return `rate limit of ${layer.text}`
    case 'hedge':
      return `hedge, ${layer.extra} more ${layer.text}`
    case 'adaptive-limit':
      return `adaptive limit, ${layer.text}`
    case 'fallback':
      return 'fallback'
  }
}

function boundWarnings(layers: readonly LayerFacts[], worstCaseMs: number): string[] {
  if (worstCaseMs === Number.POSITIVE_INFINITY) return ['nothing bounds the call: put a timeout outermost']
  const retry = layers.findIndex((layer) => layer.kind === 'retry' && layer.attempts > 1)
  if (retry < 0 || layers.slice(0, retry).some((layer) => layer.kind === 'timeout')) return []
  return [`no timeout outside retry: one call with all its attempts may take ${worstCaseMs} ms`]
}

/** What is wrong between one layer and those inside it. */
function orderWarnings(outer: LayerFacts, inside: readonly LayerFacts[]): string[] {
  const has = (kind: LayerFacts['kind']) => inside.some((layer) => layer.kind === kind)
  switch (outer.kind) {
    case 'timeout':
      return timeoutWarnings(outer.timeoutMs, inside)
    case 'retry':
      return [
        has('retry') ? 'retry inside retry: the attempts multiply; keep one of them' : '',
        has('fallback') ? 'fallback inside retry: retry never sees a failure; put the fallback outside' : '',
        has('timeout') || outer.attempts === 1
          ? ''
          : 'no timeout inside retry: one attempt that hangs uses up the time of all; put a timeout innermost',
      ].filter(Boolean)
    case 'circuit-breaker':
      return [
        has('retry') ? 'retry inside circuit breaker: the breaker counts one failure for several attempts; put retry outside' : '',
        has('fallback') ? 'fallback inside circuit breaker: the breaker never sees a failure; put the fallback outside' : '',
      ].filter(Boolean)
    case 'bulkhead':
    case 'adaptive-limit':
      return limitWarnings(outer.kind === 'bulkhead' ? 'bulkhead' : 'adaptive limit', has)
    case 'rate-limit':
      return has('retry') || has('hedge')
        ? ['retry or hedge inside rate limit: the limit counts one take for several calls; put the rate limit inside']
        : []
    case 'hedge':
      return [
        has('retry') ? 'retry inside hedge: each hedge retries for itself; put retry outside' : '',
        has('hedge') ? 'hedge inside hedge: the calls multiply; keep one of them' : '',
        has('fallback') ? 'fallback inside hedge: a fallback wins the race against the real answer; put the fallback outside' : '',
      ].filter(Boolean)
    case 'fallback':
      return []
  }
}

function limitWarnings(name: string, has: (kind: LayerFacts['kind']) => boolean): string[] {
  return [
    has('retry') ? `retry inside ${name}: a call keeps its place while it waits for its next attempt; put retry outside` : '',
    has('hedge') ? `hedge inside ${name}: several calls run in one place; put hedge outside` : '',
  ].filter(Boolean)
}

function timeoutWarnings(outerMs: number, inside: readonly LayerFacts[]): string[] {
  const warnings: string[] = []
  const retried = inside.some((layer) => layer.kind === 'retry' && layer.attempts > 1)
  for (const layer of inside) {
    if (layer.kind === 'timeout' && layer.timeoutMs >= outerMs)
      warnings.push(`timeout of ${layer.timeoutMs} ms inside timeout of ${outerMs} ms: the inner one never fires`)
    else if (layer.kind === 'timeout' && retried && layer.timeoutMs * 2 > outerMs)
      warnings.push(`timeout of ${outerMs} ms outside retry: no time for a second attempt of up to ${layer.timeoutMs} ms`)
    if (
      (layer.kind === 'bulkhead' || layer.kind === 'rate-limit') &&
      layer.maxWaitMs >= outerMs &&
      layer.maxWaitMs < Number.POSITIVE_INFINITY
    )
      warnings.push(
        `${layer.kind === 'bulkhead' ? 'bulkhead' : 'rate limit'} waits up to ${layer.maxWaitMs} ms inside timeout of ${outerMs} ms: its own limit never ends the wait`,
      )
  }
  return warnings
}
