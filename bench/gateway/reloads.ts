import type { Place, RunningProxy } from './contestants.ts'
import { load, measureSpeed, type Speed, withProxy } from './speed.ts'

/** What changes of routes cost a gateway with so many. */
export interface Reloads {
  /** Without changes, and with them. */
  readonly calm: Speed
  readonly changing: Speed
  /** Of the requests a CPU-second: where the proxy fills its core, of the requests a second. */
  readonly lostShare: number
}

/** The first is what the target is about; the second shows how it grows. */
export const RELOAD_ROUTES = [100, 1_000]

const WARM_UP_SECONDS = 4

/** Loads ours without and with 50 changes a second, one after the other in one process, twice. */
export function measureReloads(routes: number, place: Place, seconds: number): Promise<Reloads> {
  const half = Math.ceil(seconds / 2)
  return withProxy(
    'banyan',
    place,
    async (proxy) => {
      // What reads and compiles a configuration is compiled itself, as it is in a gateway whose routes change all the time.
      await change(proxy, true)
      await load(proxy, WARM_UP_SECONDS)
      await change(proxy, false)
      const calm = [await measureSpeed(proxy, half)]
      await change(proxy, true)
      const changing = [await measureSpeed(proxy, half)]
      await change(proxy, false)
      calm.push(await measureSpeed(proxy, half))
      await change(proxy, true)
      changing.push(await measureSpeed(proxy, half))
      const [before, after] = [meanOf(calm), meanOf(changing)]
      return { calm: before, changing: after, lostShare: 1 - after.requestsPerCpuSecond / before.requestsPerCpuSecond }
    },
    { moreRoutes: routes - 1 },
  )
}

async function change({ contestant }: RunningProxy, isWanted: boolean): Promise<void> {
  if (!contestant) throw new Error('only ours changes its routes')
  contestant.go()
  const isChanging = await contestant.heard<boolean>('changing')
  if (isChanging !== isWanted) throw new Error(`the routes ${isChanging ? 'change' : 'rest'}, wanted the other`)
}

function meanOf(speeds: readonly Speed[]): Speed {
  const mean = (key: keyof Speed) => speeds.reduce((sum, speed) => sum + speed[key], 0) / speeds.length
  return {
    requestsPerCpuSecond: mean('requestsPerCpuSecond'),
    kernelUs: mean('kernelUs'),
    requestsPerSecond: mean('requestsPerSecond'),
    p50Ms: mean('p50Ms'),
    p99Ms: mean('p99Ms'),
    rssMb: mean('rssMb'),
    busy: mean('busy'),
  }
}
