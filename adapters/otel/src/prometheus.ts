import type { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { AggregationTemporality, AggregationType, type IMetricReader, type MetricProducer } from '@opentelemetry/sdk-metrics'

/** A reader of metrics that writes them as text when asked. */
export interface PrometheusText {
  readonly reader: IMetricReader
  /** All metrics in Prometheus' text format, version 0.0.4. */
  text(): Promise<string>
}

/** How many sets of attributes one metric may have; what comes on top is summed up in one of its own. */
const CARDINALITY = 2_000

/** Creates a {@link PrometheusText}. The serialiser is loaded when the text is asked for the first time. */
export function prometheusText(): PrometheusText {
  let producer: MetricProducer | undefined
  let serializer: Promise<PrometheusSerializer> | undefined

  const collect: IMetricReader['collect'] = async (options) => {
    if (!producer) throw new Error('cannot collect metrics: the reader belongs to no meter provider')
    return producer.collect(options)
  }

  return {
    reader: {
      setMetricProducer(given) {
        if (producer) throw new Error('cannot set the metric producer: it is set')
        producer = given
      },
      selectAggregation: () => ({ type: AggregationType.DEFAULT }),
      selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
      selectCardinalityLimit: () => CARDINALITY,
      collect,
      async forceFlush() {},
      async shutdown() {},
    },
    async text() {
      serializer ??= import('@opentelemetry/exporter-prometheus').then((module) => new module.PrometheusSerializer())
      const { resourceMetrics } = await collect()
      return (await serializer).serialize(resourceMetrics)
    },
  }
}
