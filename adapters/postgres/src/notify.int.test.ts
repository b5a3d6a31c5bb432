import { manualWorld } from '@banyan/core'
import { describe, expect, it, vi } from 'vitest'
import { wakeUps } from './notify.ts'
import { postgresTest } from './test/postgres-test.ts'

const { open } = postgresTest()

const WAIT = { timeout: 15_000, interval: 20 }

describe('listening', () => {
  it('has one connection however often it is given up and begun again, and none in the end', async () => {
    const world = manualWorld()
    const other = open()
    const sessions = () =>
      other.run<{ pid: number }>(
        "select pid from pg_stat_activity where datname = current_database() and application_name = 'banyan ears' and query like '%advisory_lock_shared%'",
      )
    const ears = wakeUps(open({ name: 'ears', world }), 'news')
    const heard = vi.fn()
    let forget = ears.onTold(heard)
    for (let turn = 0; turn < 4; turn += 1) {
      await vi.waitFor(async () => expect(await sessions()).toHaveLength(1), WAIT)
      const [before] = await sessions()
      forget()
      forget = ears.onTold(heard)
      await vi.waitFor(async () => expect((await sessions()).map(({ pid }) => pid !== before?.pid)).toEqual([true]), WAIT)
      // When one that was gone would be replaced.
      await world.advance(1_500)
    }
    await other.run("select pg_notify('news', 'from another')")
    await vi.waitFor(() => expect(heard).toHaveBeenCalled(), WAIT)
    // Given up while it is still connecting.
    forget()
    ears.onTold(heard)()
    await vi.waitFor(async () => expect(await sessions()).toEqual([]), WAIT)
  })

  it('goes on when its connection was cut', async () => {
    const world = manualWorld()
    const other = open()
    const cut = () =>
      other.run(
        "select pg_terminate_backend(pid) from pg_locks join pg_database d on d.oid = database where locktype = 'advisory' and objsubid = 2 and classid = 1869968485 and datname = current_database()",
      )
    const heard = vi.fn()
    const forget = wakeUps(open({ world }), 'news').onTold(heard)
    await vi.waitFor(async () => expect(await cut()).toHaveLength(1), WAIT)
    await vi.waitFor(async () => {
      await world.advance(500)
      await other.run("select pg_notify('news', 'from another')")
      expect(heard).toHaveBeenCalled()
    }, WAIT)
    forget()
  })
})
