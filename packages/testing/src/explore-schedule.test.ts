import { nothing, saga } from '@banyan/saga'
import { describe, expect, it } from 'vitest'
import { explore } from './explore.ts'
import { localState } from './explore-database.ts'
import { service } from './explore-service.ts'

interface Order {
  readonly orderId: string
}

const input: Order = { orderId: 'o1' }
const noting = () =>
  saga<Order>('noting', { version: 1, key: (order) => order.orderId })
    .pivot('note', { local: () => undefined })
    .done()

describe('a schedule that was printed', () => {
  it.each(['a clerk comes, late', '100 % sure, he said', 'two\nlines', 'and ends with a space '])(
    'is replayed, with what a user has called "%s"',
    async (name) => {
      const late = (replay?: string) =>
        explore(noting, {
          input,
          services: {},
          faults: 0,
          meanwhile: { [name]: (tx) => Object.assign(localState<object>(tx), { late: true }) },
          always: { 'nobody is late': ({ local }) => !('late' in (local as { state: object }).state) },
          ...(replay !== undefined && { replay }),
        })
      const found = await late()
      expect(found.broken?.rule).toBe('nobody is late')
      expect((await late(found.broken?.schedule)).broken).toEqual(found.broken)
    },
  )
})

it('says up to which attempt they fail, those before counted too', async () => {
  const stock = service({ state: {}, operations: { reserve: () => undefined } })
  const reserving = (clients: { stock: typeof stock.client }) =>
    saga<Order>('reserving', { version: 1, key: (order) => order.orderId })
      .step('stock', { do: (c) => clients.stock.reserve({ key: c.key }), undo: nothing('it is let go by itself'), retry: { attempts: 3 } })
      .pivot('note', { local: () => undefined })
      .done()
  const found = await explore(reserving, { input, services: { stock }, replay: '1:stock.error,3:stock.error,4:stock.gives-up' })
  expect(found.text).toContain('so do all attempts up to the 3rd')
})

describe('a schedule that does not fit', () => {
  const replay = (schedule: string) => explore(noting, { input, services: {}, replay: schedule })

  it.each([
    ['1:note.los', 'move 1 cannot be "note.los"'],
    ['7:note.crash', 'all is over after 1 moves, and it wants "7:note.crash"'],
    ['1:note.crash,3:note.crash', 'move 3 cannot be "note.crash". It can be nothing'],
    ['0:note.crash', '"0:note.crash" is no move; wanted "3:money.lost"'],
    ['1:note.crash,1:note.crash-after', 'it has two moves 1'],
    ['note.crash', '"note.crash" is no move; wanted "3:money.lost"'],
  ])('is refused, and not passed over: %s', async (schedule, why) => {
    await expect(replay(schedule)).rejects.toMatchObject({ code: 'ERR_SCHEDULE', message: expect.stringContaining(why) })
  })

  it('is replayed where it does', async () => {
    await expect(replay('1:note.crash')).resolves.toMatchObject({ broken: undefined, moves: 2 })
  })
})
