import type { Instance, Logger, Registry, Snapshot, Timer, Watch, World } from '@banyan/core'
import { Cancellation } from '@banyan/resilience'
import { afterCheck, atFirst, type CheckState } from './check-state.ts'
import type { CheckConfig } from './config.ts'
import { GatewayError } from './errors.ts'
import { dropAnswer, type UpstreamClient } from './upstream-client.ts'

export interface CheckedRegistryOptions {
  readonly registry: Registry
  readonly check: CheckConfig
  readonly originOf: (instance: Instance) => string
  readonly client: UpstreamClient
  readonly world: World
  readonly log: Logger
}

/**
 * A registry without the instances that are not well, as the gateway itself finds out by asking each. When none is well it has them all:
 * a check that is wrong must not take a whole service away.
 */
export function checkedRegistry(options: CheckedRegistryOptions): Registry {
  return {
    register: (instance) => options.registry.register(instance),
    watch: (service, onChange) => new CheckedWatch(service, onChange, options),
  }
}

interface Checked {
  readonly instance: Instance
  state: CheckState
  timer: Timer | undefined
  /** The check under way. */
  asking: Cancellation | undefined
}

/** One service's instances, each with its own row of checks. */
class CheckedWatch implements Watch {
  readonly #options: CheckedRegistryOptions
  readonly #service: string
  readonly #onChange: (snapshot: Snapshot) => void
  readonly #known = new Map<string, Checked>()
  readonly #inner: Watch
  #last: Snapshot | undefined
  #revision = 0
  #isStopped = false

  constructor(service: string, onChange: (snapshot: Snapshot) => void, options: CheckedRegistryOptions) {
    this.#options = options
    this.#service = service
    this.#onChange = onChange
    this.#inner = options.registry.watch(service, (snapshot) => this.#take(snapshot))
  }

  stop(): void {
    this.#isStopped = true
    this.#inner.stop()
    for (const id of [...this.#known.keys()]) this.#forget(id)
  }

  #take(snapshot: Snapshot): void {
    if (this.#isStopped) return
    this.#last = snapshot
    const now = new Map(snapshot.instances.map((instance) => [instance.id, instance]))
    for (const [id, { instance }] of this.#known) if (!isSamePlace(now.get(id), instance)) this.#forget(id)
    for (const instance of now.values()) {
      if (this.#known.has(instance.id)) continue
      const one: Checked = { instance, state: atFirst, timer: undefined, asking: undefined }
      this.#known.set(instance.id, one)
      void this.#ask(one)
    }
    this.#tell()
  }

  #forget(id: string): void {
    const one = this.#known.get(id)
    this.#known.delete(id)
    one?.timer?.cancel()
    one?.asking?.abort(new Error('the instance is gone'))
  }

  #tell(): void {
    if (!this.#last) return
    const { instances, revision } = this.#last
    const well = instances.filter(({ id }) => this.#known.get(id)?.state.isWell ?? true)
    if (revision > 0) this.#revision += 1
    this.#onChange({ ...this.#last, instances: well.length > 0 ? well : instances, revision: this.#revision })
  }

  async #ask(one: Checked): Promise<void> {
    const { check, world, log } = this.#options
    const { failures = 3, successes = 2, every_ms: everyMs = 5_000 } = check
    const why = await this.#answerOf(one)
    if (this.#known.get(one.instance.id) !== one) return
    const before = one.state.isWell
    one.state = afterCheck(one.state, why === undefined, { failures, successes })
    one.timer = world.after(everyMs, () => void this.#ask(one))
    if (one.state.isWell === before) return
    const fields = { upstream: this.#service, instance: one.instance.id }
    if (before) log.warn(fields, `"${one.instance.id}" of "${this.#service}" is left out: ${why}`)
    else log.info(fields, `"${one.instance.id}" of "${this.#service}" is well again`)
    this.#tell()
  }

  /** Why the answer is not good; `undefined`: it is. */
  async #answerOf(one: Checked): Promise<string | undefined> {
    const { check, originOf, client, world } = this.#options
    const { path, timeout_ms: timeoutMs = 1_000 } = check
    const asking = new Cancellation(world)
    one.asking = asking
    const late = new GatewayError('ERR_UPSTREAM_TIMEOUT', `no answer to its check within ${timeoutMs} ms`)
    const timer = world.after(timeoutMs, () => asking.abort(late))
    try {
      const answer = await client.send({
        origin: originOf(one.instance),
        method: 'GET',
        path,
        headers: ['user-agent', 'banyan-gateway', 'accept', '*/*'],
        body: undefined,
        cancellation: asking,
        idleTimeoutMs: timeoutMs,
        isUpgrade: false,
      })
      dropAnswer(answer)
      return answer.status >= 200 && answer.status < 400 ? undefined : `its check was answered with ${answer.status}`
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    } finally {
      timer.cancel()
      one.asking = undefined
    }
  }
}

function isSamePlace(now: Instance | undefined, before: Instance): boolean {
  return now !== undefined && now.host === before.host && now.port === before.port
}
