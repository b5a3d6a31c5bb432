import { createServer } from 'node:net'
import { type AnySaga, saga } from '@banyan/saga'

// As a module does that makes its clients and pools while it is imported.
createServer().listen(0, '127.0.0.1')

export const busy: AnySaga = saga<{ id: string }>('busy', { version: 1, key: ({ id }) => id })
  .pivot('confirm', { local: () => undefined })
  .done()
