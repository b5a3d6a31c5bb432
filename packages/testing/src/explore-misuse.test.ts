import type { Transaction } from '@banyan/core'
import { nothing, saga } from '@banyan/saga'
import { describe, expect, it } from 'vitest'
import { explore } from './explore.ts'
import { localState } from './explore-database.ts'
import { service } from './explore-service.ts'

interface Order {
  readonly orderId: string
}

const input: Order = { orderId: 'o1' }
const options = { version: 1, key: (order: Order) => order.orderId }

const noting = (body: (tx: Transaction) => unknown) => () =>
  saga<Order>('noting', options)
    .local('note', { do: body, undo: () => undefined })
    .pivot('confirm', { local: () => undefined })
    .done()

const sending = (mails: { send: (request: { key: string }) => Promise<unknown> }) =>
  saga<Order>('sending', options)
    .step('send', { do: (c) => mails.send({ key: c.key }), undo: nothing('a mail cannot be unsent') })
    .done()

const outside = { code: 'ERR_OUTSIDE_SIMULATION' }

describe('a saga that cannot be run', () => {
  it('ends the exploration, which would else call it compensated: SQL without a database', async () => {
    const asking = noting((tx) => tx.sql`select 1`)
    const found = explore(asking, { input, services: {} })
    await expect(found).rejects.toMatchObject({ ...outside, message: 'a simulated database has no SQL; give explore() a "database"' })
    await expect(explore(asking, { input, services: {}, replay: '' })).rejects.toMatchObject(outside)
  })

  it('ends it also where the step makes something else of the error', async () => {
    const careless = noting(async (tx) => {
      await tx.sql`select 1`.catch(() => {})
    })
    await expect(explore(careless, { input, services: {}, faults: 0 })).rejects.toMatchObject(outside)
  })

  it('ends it where an undo or somebody else in the same database is what wants SQL', async () => {
    const undoing = () =>
      saga<Order>('undoing', options)
        .local('note', { do: () => undefined, undo: (tx) => void tx.sql`select 1`.catch(() => {}) })
        .pivot('confirm', { local: () => undefined })
        .done()
    await expect(explore(undoing, { input, services: {}, faults: 0, cancel: true })).rejects.toMatchObject(outside)
    const meanwhile = { 'the customer cancels': (tx: Transaction) => tx.sql`select 1` }
    await expect(
      explore(
        noting(() => undefined),
        { input, services: {}, faults: 0, meanwhile },
      ),
    ).rejects.toMatchObject(outside)
  })

  it('ends it where a step asks for the state of another kind of database', async () => {
    const real = { transaction: <T>(body: (tx: Transaction) => Promise<T>) => body({} as Transaction), save: () => ({}), load: () => {} }
    const found = explore(
      noting((tx) => localState(tx)),
      { input, services: {}, database: real, faults: 0 },
    )
    await expect(found).rejects.toThrow('this transaction is not one of a simulated database')
  })
})

describe('an input', () => {
  it.each([
    [{ orderId: 'o1', when: new Date(0) }, '"when" is an instance of Date'],
    [{ orderId: 'o1', cents: 1n }, '"cents" is a bigint'],
  ])('that startSaga() would refuse is refused here too', async (wrong, why) => {
    const found = explore(
      noting(() => undefined),
      { input: wrong, services: {}, faults: 0 },
    )
    await expect(found).rejects.toMatchObject({ code: 'ERR_NOT_JSON', message: `cannot keep the input of saga "noting" as JSON: ${why}` })
  })

  it('gives the saga its key, which the output and what is published are told', async () => {
    const keyed = () =>
      saga<Order>('keyed', options)
        .pivot('confirm', { local: () => undefined })
        .done(({ key }) => key)
    const found = await explore(keyed, {
      input,
      services: {},
      faults: 0,
      invariants: { 'it has the key of its order': ({ saga }) => saga.output === 'o1' || String(saga.output) },
    })
    expect(found.text).toContain('nothing is broken')
  })
})

it('gives the database back also where it was asked for what there is not', async () => {
  let closed = 0
  const database = {
    transaction: <T>(body: (tx: Transaction) => Promise<T>) => body({} as Transaction),
    save: () => ({}),
    load: () => {},
    close: () => {
      closed += 1
    },
  }
  const saga = noting(() => undefined)
  await expect(explore(saga, { input, services: {}, database, faults: 99 })).rejects.toThrow('"faults" is 99')
  expect(closed).toBe(1)
})

describe('a service that cannot be run', () => {
  it('ends the exploration where it tells of an effect outside its atomic steps', async () => {
    const mails = service({
      state: { sent: 0 },
      operations: {
        send: {
          async steps(atomic, _request: { key: string }, call) {
            await atomic((state) => {
              state.sent += 1
            })
            call.did()
          },
        },
      },
    })
    const found = explore(({ mails }) => sending(mails), { input, services: { mails }, faults: 0 })
    await expect(found).rejects.toThrow('"send": say did() and undid() inside an atomic step')
  })

  it.each([
    [1n, '"sent" is a bigint'],
    [new Date(0), '"sent" is an instance of Date'],
    [new Map([['a', 1]]), '"sent" is an instance of Map'],
    [Number.NaN, '"sent" is NaN'],
    [[undefined], '"0" is undefined'],
    [() => 1, '"sent" is a function'],
  ])('ends it where it keeps what is no JSON, or would come back as something else: %s', async (value, why) => {
    const mails = service({
      state: { sent: 0 },
      operations: {
        send(state, _request: { key: string }) {
          Object.assign(state, { sent: value })
        },
      },
    })
    const found = explore(({ mails }) => sending(mails), { input, services: { mails }, faults: 0 })
    await expect(found).rejects.toMatchObject({ code: 'ERR_NOT_JSON', message: expect.stringContaining(why) })
    const begun = service({ state: { sent: value }, operations: { send: () => undefined } })
    await expect(explore(({ begun }) => sending(begun), { input, services: { begun }, faults: 0 })).rejects.toThrow(why)
  })

  it('ends it where an atomic step is async: what it gives is not there when the step is over', async () => {
    const mails = service({
      state: { sent: 1 },
      operations: {
        send: {
          async steps(atomic, _request: { key: string }) {
            const before = await atomic(async ({ sent }) => sent)
            await atomic((state) => Object.assign(state, { sent: before + 1 }))
          },
        },
      },
    })
    const found = explore(({ mails }) => sending(mails), { input, services: { mails }, faults: 0 })
    await expect(found).rejects.toThrow('cannot keep what a step of "send" gave back as JSON: it is an instance of Promise')
  })

  it('ends it, and not the process, where a step gives a promise that fails', async () => {
    const mails = service({
      state: { sent: 0 },
      operations: {
        send: {
          steps: (atomic, _request: { key: string }) =>
            atomic(async () => {
              throw new Error('nobody waits for this')
            }),
        },
      },
    })
    const found = explore(({ mails }) => sending(mails), { input, services: { mails }, faults: 0 })
    await expect(found).rejects.toThrow('cannot keep what a step of "send" gave back as JSON: it is an instance of Promise')
  })

  it("ends it where a local step keeps in the saga's own database what would come back as something else", async () => {
    const dating = noting((tx) => void Object.assign(localState<object>(tx), { at: new Date(0) }))
    const found = explore(dating, { input, services: {}, faults: 0 })
    await expect(found).rejects.toThrow('cannot keep what is in the saga\'s own database as JSON: "at" is an instance of Date')
  })
})
