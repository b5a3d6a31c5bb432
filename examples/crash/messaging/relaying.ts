import type { Bus, Component } from '@banyan/core'
import { relay } from '@banyan/messaging'
import { crashPoint } from '@banyan/testing/crash'

/** A relay with short times, so that another takes over while a trial still runs. */
export function shopRelay(): Component {
  return relay({ batchSize: 10, leaseMs: 250, maxPollMs: 250 })
}

/** The bus, with a point before and one after each publishing. */
export function watchedPublish(bus: Bus): Bus {
  return {
    ...bus,
    async publish(batch) {
      crashPoint('before-publish')
      await bus.publish(batch)
      crashPoint('after-publish')
    },
  }
}
