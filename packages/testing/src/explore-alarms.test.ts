import { event, isRefusal } from '@banyan/core'
import { nothing, saga } from '@banyan/saga'
import { describe, expect, it } from 'vitest'
import { explore } from './explore.ts'
import { type AtomicStep, service } from './explore-service.ts'

interface Order {
  readonly orderId: string
}

interface Paid {
  readonly one: { readonly paid: number }
  readonly other: { readonly paid: number }
}

const input: Order = { orderId: 'o1' }
const options = { version: 1, key: (order: Order) => order.orderId }
const confirm = { local: () => undefined }

describe('a saga that is right is not called broken', () => {
  it.each([{ wrapped: true }, undefined])('where a step is skipped or done by what has come, and gives %j', async (answer) => {
    const desk = service({
      state: { asked: 0, wrapped: 0 },
      operations: {
        ask(state, _request: object) {
          state.asked += 1
        },
        wrap: {
          guard: 'desk',
          do(state, _request: { key: string }) {
            state.wrapped += 1
            return answer
          },
        },
        unwrap: {
          guard: 'desk',
          undo(state, _request: { key: string }) {
            state.wrapped -= 1
          },
        },
      },
    })
    const giftWanted = event('gift.wanted', { version: 1, schema: anything(), key: () => 'k' })
    const wrapping = (clients: { desk: typeof desk.client }) =>
      saga<Order>('wrapping', options)
        .step('ask', { do: () => clients.desk.ask({}), undo: nothing('it only looks') })
        .wait('gift', { for: giftWanted, where: (c) => c.input.orderId, withinMs: 1_000, otherwise: 'continue' })
        .when(
          'wanted',
          (c) => c.gift !== undefined,
          (branch) =>
            branch.step('wrap', { do: (c) => clients.desk.wrap({ key: c.key }), undo: (c) => clients.desk.unwrap({ key: c.key }) }),
        )
        .pivot('confirm', confirm)
        .done()
    // A copy of the first call leaves a trace of its own, so that this end is not one that was seen without a fault.
    const found = await explore(wrapping, { input, services: { desk }, faults: 2, answers: { gift: { paper: 'red' } } })
    expect(found.text).toContain('nothing is broken')
  })

  describe('where a step may say no and another stands in', () => {
    const card = () =>
      service({
        state: { paid: 0 },
        operations: {
          charge: {
            guard: 'card',
            refusals: ['declined'],
            do(state, _request: { key: string }) {
              state.paid += 1
              return { isPaid: true }
            },
          },
          refund: {
            guard: 'card',
            undo(state, _request: { key: string }) {
              state.paid -= 1
            },
          },
        },
      })
    const services = { one: card(), other: card() }
    type Clients = { one: typeof services.one.client; other: typeof services.other.client }
    const paying = ({ one, other }: Clients) =>
      saga<Order>('paying', options)
        .step('one', {
          async do(c) {
            const answer = await one.charge({ key: c.key })
            return { isPaid: !isRefusal(answer) }
          },
          undo: (c) => one.refund({ key: c.key }),
        })
        .when(
          'declined',
          (c) => c.one?.isPaid === false,
          (branch) => branch.step('other', { do: (c) => other.charge({ key: c.key }), undo: (c) => other.refund({ key: c.key }) }),
        )
        .pivot('confirm', confirm)
        .done()

    it('and the exploration is told so', async () => {
      const invariants = {
        'paid once': ({ services: { one, other }, saga: { status } }: { services: Paid; saga: { status: string } }) =>
          one.paid + other.paid === (status === 'completed' ? 1 : 0),
      }
      const found = await explore(paying, { input, services, faults: 2, mayLack: ['one'], invariants })
      expect(found.text).toContain('nothing is broken')
    })

    it('but it is when it is not told, or of another step', async () => {
      for (const mayLack of [[], ['other']]) {
        const found = await explore(paying, { input, services, faults: 1, mayLack })
        expect(found.broken?.rule).toMatch(/^no effect is lost: the saga completed, and "one" has left 0 effects in place of 1/)
        expect(found.broken?.rule).toContain('"mayLack"')
      }
    })

    it('and a step is refused that it does not have', async () => {
      const wrong = explore(paying, { input, services, mayLack: ['ones'] })
      await expect(wrong).rejects.toThrow('"mayLack" has "ones"; the steps of saga "paying" are one, declined, other, confirm')
    })
  })

  it('where two of its steps do different things at one service that wants no key', async () => {
    const orders = service({
      state: { paid: false, shipped: false },
      operations: {
        pay(state, _request: { orderId: string }, call) {
          if (!state.paid) call.did()
          state.paid = true
        },
        unpay(state, _request: { orderId: string }, call) {
          if (state.paid) call.undid()
          state.paid = false
        },
        ship(state, _request: { orderId: string }, call) {
          if (!state.shipped) call.did()
          state.shipped = true
        },
      },
    })
    const shipping = (clients: { orders: typeof orders.client }) =>
      saga<Order>('shipping', options)
        .step('pay', { do: (c) => clients.orders.pay(c.input), undo: (c) => clients.orders.unpay(c.input) })
        .pivot('confirm', confirm)
        .step('ship', { do: (c) => clients.orders.ship(c.input) })
        .done()
    const found = await explore(shipping, { input, services: { orders }, faults: 1, kinds: ['error', 'lost', 'twice', 'crash', 'pause'] })
    expect(found.text).toContain('nothing is broken')
  })

  it('where an operation of several steps throws before it gives a promise: the step sees an error, and goes on', async () => {
    const desk = service({
      state: { asked: 0 },
      operations: {
        ask: {
          steps(atomic: AtomicStep<{ asked: number }>, { by }: { by: string }) {
            if (by === '') throw new Error('nobody asks')
            return atomic((state) => {
              state.asked += 1
            })
          },
        },
      },
    })
    const asking = (clients: { desk: typeof desk.client }) =>
      saga<Order>('asking', options)
        .step('ask', { do: () => clients.desk.ask({ by: '' }).catch(() => undefined), undo: nothing('it only looks') })
        .pivot('confirm', confirm)
        .done()
    const found = await explore(asking, { input, services: { desk }, faults: 0 })
    expect(found.text).toContain('nothing is broken; without a fault it ends completed')
  })

  it('where it is cancelled while a step is in the middle: the step comes to its end before it is undone', async () => {
    const pair = service({
      state: { left: false, right: false },
      operations: {
        setLeft(state, _request: object) {
          state.left = true
        },
        setRight(state, _request: object) {
          state.right = true
        },
      },
    })
    const setting = (clients: { pair: typeof pair.client }) =>
      saga<Order>('setting', options)
        .step('both', {
          async do() {
            await clients.pair.setLeft({})
            await clients.pair.setRight({})
          },
          undo: nothing('for the test'),
        })
        .pivot('confirm', confirm)
        .done()
    const found = await explore(setting, {
      input,
      services: { pair },
      faults: 0,
      cancel: true,
      invariants: { 'both or none': ({ services }) => services.pair.left === services.pair.right },
    })
    expect(found.text).toContain('nothing is broken; without a fault it ends compensated or completed')
  })
})

function anything() {
  return { '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value }) } }
}
