import { inspect } from 'node:util'
import { silentLogger, systemWorld } from '@banyan/core'
import { describe, expect, it } from 'vitest'
import { databaseOpener } from './service-database.ts'

describe('the URL of the databases of a system', () => {
  it.each(['postgres://shop:s3cret@host:port/shop', 'shop:s3cret@host/shop', 'mysql://shop:s3cret@host/shop'])(
    'is named by its variable when it is none, and not printed (%#)',
    async (databaseUrl) => {
      const opening = databaseOpener({ dataDir: 'unused', databaseUrl, world: systemWorld }).then((open) => open('orders', silentLogger))
      const error = await opening.then(
        () => expect.unreachable(),
        (cause: Error) => cause,
      )
      expect(inspect(error)).not.toContain('s3cret')
      expect(error.message).toContain('BANYAN_DATABASE_URL')
    },
  )
})
