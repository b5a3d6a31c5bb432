import type { Layer, LayerFacts } from './layer.ts'

/** What the layers of a policy know, as JSON. */
export interface PolicySnapshot {
  readonly version: 1
  readonly policy: string
  /** Of the layers that have a state: which of them, counted from the outside, and what it knows. */
  readonly layers: readonly LayerSnapshot[]
}

export interface LayerSnapshot {
  readonly index: number
  readonly kind: LayerFacts['kind']
  readonly state: unknown
}

/** Writes down what `layers` know. */
export function snapshotLayers(policy: string, layers: readonly Layer<unknown>[]): PolicySnapshot {
  return {
    version: 1,
    policy,
    layers: layers.flatMap((layer, index) => (layer.snapshot ? [{ index, kind: layer.facts.kind, state: layer.snapshot() }] : [])),
  }
}

/**
 * Gives each layer what it knew.
 *
 * @throws {TypeError} naming what is wrong: then layers before it may have taken theirs
 */
export function restoreLayers(policy: string, layers: readonly Layer<unknown>[], snapshot: PolicySnapshot): void {
  const fail = (what: string) => new TypeError(`cannot restore policy "${policy}": ${what}`)
  if (typeof snapshot !== 'object' || snapshot === null) throw fail(`the snapshot is ${String(snapshot)}, wanted an object`)
  if (snapshot.version !== 1) throw fail(`"version" is ${String(snapshot.version)}, wanted 1`)
  if (!Array.isArray(snapshot.layers)) throw fail('"layers" is no list')
  for (const saved of snapshot.layers as readonly (LayerSnapshot | null)[]) {
    const layer = saved ? layers[saved.index] : undefined
    if (layer?.facts.kind !== saved?.kind || !layer?.restore)
      throw fail(`layer ${String(saved?.index)} is ${layer ? `"${layer.facts.kind}"` : 'missing'}, the snapshot's "${String(saved?.kind)}"`)
    layer.restore(saved?.state)
  }
}
