import { saga } from '@banyan/saga'
import { expect, it } from 'vitest'
import { explore } from './explore.ts'
import { localState } from './explore-database.ts'
import { walkEvery } from './explore-search.ts'
import { service } from './explore-service.ts'
import { prepare } from './explore-setup.ts'

interface Order {
  readonly orderId: string
}

const input: Order = { orderId: 'o1' }

const stock = service({
  state: { free: 9 },
  operations: {
    reserve: {
      guard: 'stock',
      refusals: ['out-of-stock'],
      do(state, { orderId }: { orderId: string; key: string }) {
        state.free -= 1
        return { reservationId: `r-${orderId}` }
      },
    },
    release: {
      guard: 'stock',
      undo(state, _request: { key: string }) {
        state.free += 1
      },
    },
  },
})
type Stock = typeof stock.client

const step = ({ stock }: { stock: Stock }) => ({
  do: (c: { input: Order; key: string }) => stock.reserve({ orderId: c.input.orderId, key: c.key }),
  undo: (c: { key: string }) => stock.release({ key: c.key }),
})
const note = (name: string) => (tx: Parameters<typeof localState>[0]) => void localState<{ notes: string[] }>(tx).notes.push(name)

const two = (clients: { stock: Stock }) =>
  saga<Order>('two', { version: 1, key: (order) => order.orderId })
    .step('a', step(clients))
    .pivot('b', { local: note('b') })
    .done()

const six = (clients: { stock: Stock }) =>
  saga<Order>('six', { version: 1, key: (order) => order.orderId })
    .local('order', { do: note('order'), undo: note('order undone') })
    .step('a', step(clients))
    .step('b', step(clients))
    .step('c', step(clients))
    .pivot('confirm', { local: note('confirm') })
    .step('d', { do: (c) => clients.stock.reserve({ orderId: 'd', key: c.key }) })
    .done()

const sure = service({
  state: stock.state,
  operations: { ...stock.operations, reserve: { guard: 'stock', do: stock.operations.reserve.do } },
})
const options = { input, services: { stock: sure }, local: { notes: [] } }
const breathe = () => new Promise<void>((resolve) => setImmediate(resolve))

it('goes through the same schedules whether it merges equal moments or not', async () => {
  for (const faults of [0, 1, 2]) {
    const merged = await explore(two, { ...options, faults })
    const each = await walkEvery({ ...(await prepare(two, { ...options, faults })), breathe }, 1_000_000)
    expect(merged.broken).toBeUndefined()
    expect(each).toMatchObject({ schedules: merged.schedules, broken: 0 })
  }
})
it('says how much it went through, and how fast', async () => {
  const found = await explore(six, { ...options, faults: 2 })
  expect(found.text).toMatch(
    /^saga six, version 1, every schedule with up to 2 faults: nothing is broken\n[\d,]+ schedules \([\d,]+ moves between [\d,]+ moments\) in [\d.]+ s: [\d,]+ schedules\/s, [\d,]+ moves\/s$/,
  )
  expect(found.schedules).toBeGreaterThan(10_000)
})
