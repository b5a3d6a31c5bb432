import type { Instance, Registry, Snapshot } from '@banyan/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { recordSnapshots } from './registry-recorder.ts'

/** A registry to be tested, and the power over it. */
export interface RegistrySite {
  /** A client of its own, as each process has one. Closing it without deregistering is what the registry sees of a `kill -9`. */
  client(): Registry & { close(): Promise<void> }
  /** How long an instance that is not heard of may stay listed, milliseconds. */
  readonly ttlMs: number
  /** Takes the registry away. */
  stop(): Promise<void>
  /** Brings it back where it was, with what it knew; `empty`: with nothing. */
  start(empty?: boolean): Promise<void>
  /** Ends it and removes its files. */
  close(): Promise<void>
}

const SERVICE = 'orders'
const instance = (id: string, port: number, more: Partial<Instance> = {}): Instance => ({
  id,
  service: SERVICE,
  host: '127.0.0.1',
  port,
  ...more,
})
const ids = ({ instances }: Snapshot) => instances.map(({ id }) => id).join()

/** What every registry must do whose instances come and go. */
export function registrySuite(name: string, create: () => Promise<RegistrySite>): void {
  describe(`${name}: registry`, () => {
    let site: RegistrySite
    const clients: ReturnType<RegistrySite['client']>[] = []
    const client = () => {
      const made = site.client()
      clients.push(made)
      return made
    }
    beforeEach(async () => {
      site = await create()
    })
    afterEach(async () => {
      for (const one of clients.splice(0)) await one.close()
      await site.close()
    })

    it('shows every watcher what an instance said, and that it has gone as soon as it deregisters', () => comesAndGoes(client))
    it('tells a watcher soon that there is nobody, and one who comes late who there is', () => tellsSoon(client))
    it('keeps services apart, whatever their names', () => keepsApart(client))
    it('gives each change a higher revision, and the same change none', () => countsUp(client))
    it('keeps an instance for as long as it lives', () => keepsLiving(client, site.ttlMs))
    it('loses an instance whose process died, after its time', () => losesDead(client, site.ttlMs))
    it('repeats what it knew as stale while it is away, loses nobody for it, and is current again', () => survivesOutage(client, site))
    it('is told again who there is when it comes back empty', () => registersAgain(client, site))
    it('says nothing more to who has stopped, and is not disturbed by a listener that throws', () => listeners(client))
    it('refuses an instance that cannot be one', () => refusesBad(client))
  })
}

/** What every registry must do for who watches, the fixed ones too: `open` gives one that knows `instances` of `service`. */
export function watchSuite(
  name: string,
  open: () => Promise<{ registry: Registry; service: string; instances: readonly string[]; close(): Promise<void> }>,
): void {
  describe(`${name}: watching`, () => {
    it('tells soon and not at once, with a revision, and nothing more after stop', async () => {
      const { registry, service, instances, close } = await open()
      const [heard, stopped] = [recordSnapshots(), recordSnapshots()]
      registry.watch(service, stopped.take).stop()
      const watch = registry.watch(service, heard.take)
      expect(heard.seen).toEqual([])
      const snapshot = await heard.until(({ revision }) => revision > 0)
      expect(snapshot.stale).toBe(false)
      expect(snapshot.instances.map(({ host, port }) => `${host}:${port}`).sort()).toEqual([...instances].sort())
      expect(new Set(snapshot.instances.map(({ id }) => id)).size).toBe(instances.length)
      for (const each of snapshot.instances) expect(each.service).toBe(service)
      watch.stop()
      watch.stop()
      expect(stopped.seen).toEqual([])
      await close()
    })

    it('knows nobody of a service it never heard of', async () => {
      const { registry, close } = await open()
      const heard = recordSnapshots()
      const watch = registry.watch('never-heard-of', heard.take)
      expect((await heard.until(({ revision }) => revision > 0)).instances).toEqual([])
      watch.stop()
      await close()
    })
  })
}

type Client = () => ReturnType<RegistrySite['client']>

async function comesAndGoes(client: Client): Promise<void> {
  const [one, two] = [recordSnapshots(), recordSnapshots()]
  client().watch(SERVICE, one.take)
  const registry = client()
  registry.watch(SERVICE, two.take)
  const told = instance('o-1', 3001, { tags: ['blue'], meta: { version: '7' }, weight: 3, zone: 'a' })
  const registration = await registry.register(told)
  for (const heard of [one, two]) {
    const [seen] = (await heard.until(({ instances }) => instances.length === 1)).instances
    expect(seen).toMatchObject(told)
  }
  await Promise.all([registration.deregister(), registration.deregister()])
  for (const heard of [one, two]) await heard.until(({ instances, stale }) => instances.length === 0 && !stale)
}

async function tellsSoon(client: Client): Promise<void> {
  const [early, late] = [recordSnapshots(), recordSnapshots()]
  const registry = client()
  registry.watch(SERVICE, early.take)
  expect(await early.until(({ revision }) => revision > 0)).toMatchObject({ instances: [], stale: false })
  await registry.register(instance('o-1', 3001))
  await early.until((snapshot) => ids(snapshot) === 'o-1')
  registry.watch(SERVICE, late.take)
  expect(ids(await late.until(() => true))).toBe('o-1')
}

async function keepsApart(client: Client): Promise<void> {
  const names = ['orders', 'orders-eu', 'orders/eu', 'Orders', 'größe %2F']
  const registry = client()
  for (const [i, service] of names.entries()) await registry.register(instance(`i/${i}`, 3001 + i, { service }))
  for (const [i, service] of names.entries()) {
    const heard = recordSnapshots()
    client().watch(service, heard.take)
    const { instances } = await heard.until(({ revision }) => revision > 0)
    expect(instances.map(({ id, service: of }) => `${id} ${of}`)).toEqual([`i/${i} ${service}`])
  }
}

async function countsUp(client: Client): Promise<void> {
  const heard = recordSnapshots()
  const registry = client()
  registry.watch(SERVICE, heard.take)
  for (const i of [1, 2, 3]) {
    await registry.register(instance(`o-${i}`, 3000 + i))
    await heard.until(({ instances }) => instances.length === i)
  }
  const revisions = heard.seen.map(({ revision }) => revision)
  expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b))
}

async function keepsLiving(client: Client, ttlMs: number): Promise<void> {
  const heard = recordSnapshots()
  const registry = client()
  registry.watch(SERVICE, heard.take)
  await registry.register(instance('lives', 3001))
  await heard.until((snapshot) => ids(snapshot) === 'lives')
  // A dead one beside it is the clock: when it has gone, a whole time to live has passed.
  const dying = client()
  await dying.register(instance('dies', 3002))
  await heard.until((snapshot) => ids(snapshot) === 'dies,lives')
  await dying.close()
  expect(ids(await heard.until(({ instances }) => instances.length === 1, 5 * ttlMs + 10_000))).toBe('lives')
  const seen = heard.seen.map(ids)
  expect(seen.slice(seen.indexOf('lives')).every((at) => at.includes('lives'))).toBe(true)
}

async function losesDead(client: Client, ttlMs: number): Promise<void> {
  const heard = recordSnapshots()
  client().watch(SERVICE, heard.take)
  const dying = client()
  await dying.register(instance('o-1', 3001))
  await heard.until((snapshot) => ids(snapshot) === 'o-1')
  await dying.close()
  await heard.until(({ instances }) => instances.length === 0, 5 * ttlMs + 10_000)
}

async function survivesOutage(client: Client, site: RegistrySite): Promise<void> {
  const heard = recordSnapshots()
  const registry = client()
  registry.watch(SERVICE, heard.take)
  await registry.register(instance('o-1', 3001))
  await registry.register(instance('o-2', 3002))
  await heard.until((snapshot) => ids(snapshot) === 'o-1,o-2')
  await site.stop()
  expect(ids(await heard.until(({ stale }) => stale, 60_000))).toBe('o-1,o-2')
  const late = recordSnapshots()
  registry.watch(SERVICE, late.take)
  expect(ids(await late.until(({ stale }) => stale))).toBe('o-1,o-2')
  const before = heard.seen.length
  await site.start()
  await heard.until(({ stale }) => !stale, 60_000)
  await registry.register(instance('o-3', 3003))
  await heard.until((snapshot) => ids(snapshot) === 'o-1,o-2,o-3', 60_000)
  for (const snapshot of heard.seen.slice(before)) expect(ids(snapshot)).toContain('o-1,o-2')
}

async function registersAgain(client: Client, site: RegistrySite): Promise<void> {
  const heard = recordSnapshots()
  const registry = client()
  await registry.register(instance('o-1', 3001))
  await registry.register(instance('o-2', 3002))
  await site.stop()
  client().watch(SERVICE, heard.take)
  await heard.until(({ stale }) => stale, 60_000)
  await site.start(true)
  await heard.until((snapshot) => ids(snapshot) === 'o-1,o-2' && !snapshot.stale, 60_000)
}

async function listeners(client: Client): Promise<void> {
  const [heard, left] = [recordSnapshots(), recordSnapshots()]
  const registry = client()
  registry.watch(SERVICE, () => {
    throw new Error("the listener's own fault")
  })
  registry.watch(SERVICE, heard.take)
  const leaving = registry.watch(SERVICE, left.take)
  await left.until(() => true)
  leaving.stop()
  leaving.stop()
  const before = left.seen.length
  await registry.register(instance('o-1', 3001))
  await heard.until((snapshot) => ids(snapshot) === 'o-1')
  expect(left.seen).toHaveLength(before)
}

async function refusesBad(client: Client): Promise<void> {
  const registry = client()
  await expect(registry.register(instance('', 3001))).rejects.toThrow('"id" is empty')
  await expect(registry.register(instance('a', 0))).rejects.toThrow('"port" is 0, wanted 1 to 65535')
  await expect(registry.register(instance('a', 80, { weight: 0.5 }))).rejects.toThrow('"weight" is 0.5')
}
