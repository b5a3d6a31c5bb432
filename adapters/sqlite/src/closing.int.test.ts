import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Database } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { createSmallSite } from './test/site.ts'

/** Writes until the disk takes no more; gives back how many rows were acknowledged. */
async function fill(database: Database): Promise<number> {
  for (let rows = 0; ; rows += 1) {
    try {
      await database.transaction((tx) => tx.sql`insert into notes (note) values (${'x'.repeat(20_000)})`)
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_(DISK_FULL|COMMIT_FAILED)$/) })
      return rows
    }
  }
}

describe('closing on a disk that is full', () => {
  it('says what happened and that nothing is lost, and all is there at the next opening', async () => {
    const site = await createSmallSite()
    try {
      const database = site.open()
      await database.migrate([{ id: 'notes', sql: 'create table notes (note text not null)' }])
      const rows = await fill(database)
      const { blocks, bsize } = statfsSync(dirname(site.place))
      const error = await database.close().catch((caught: unknown) => caught)
      // Where no small disk may be mounted, the file alone is kept small: then the log has its room and is emptied.
      if (blocks * bsize > 2_000_000) expect(error).toBeUndefined()
      else {
        expect(error).toMatchObject({ name: 'SqliteError', code: 'ERR_DISK_FULL' })
        expect(String(error)).toContain(`cannot empty the log of "${site.place}" into the file while closing: database or disk is full`)
        expect(String(error)).toContain(`nothing that was committed is lost: it stays in "${site.place}-wal"`)
      }
      await site.makeRoom()
      const again = site.open()
      expect(await again.read((tx) => tx.sql`select count(*) as rows from notes`)).toEqual([{ rows }])
      await again.close()
    } finally {
      await site.remove()
    }
  })
})
