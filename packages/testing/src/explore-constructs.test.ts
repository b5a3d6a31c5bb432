import { event } from '@banyan/core'
import { nothing, saga } from '@banyan/saga'
import { describe, expect, it } from 'vitest'
import { explore } from './explore.ts'
import { localState } from './explore-database.ts'
import { walkEvery } from './explore-search.ts'
import { service } from './explore-service.ts'
import { prepare } from './explore-setup.ts'

interface Trip {
  readonly id: string
  readonly seats: readonly string[]
}

const input: Trip = { id: 't1', seats: ['1A', '1B'] }
const options = { version: 1, key: (trip: Trip) => trip.id }
const breathe = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Books things under a key, and gives them back. */
const desk = service({
  state: { booked: 0 },
  operations: {
    book: {
      guard: 'desk',
      do(state, _request: { key: string }) {
        state.booked += 1
        return { booked: true }
      },
    },
    giveBack: {
      guard: 'desk',
      undo(state, _request: { key: string }) {
        state.booked -= 1
      },
    },
  },
})
type Desk = typeof desk.client

const book = ({ desk }: { desk: Desk }) => ({
  do: (c: { key: string }) => desk.book({ key: c.key }),
  undo: (c: { key: string }) => desk.giveBack({ key: c.key }),
})
const confirm = { local: () => undefined }
const bookedAtEnd = (many: number) => ({
  'booked as the saga ended': ({ services, saga }: { services: { desk: { booked: number } }; saga: { status: string } }) =>
    services.desk.booked === (saga.status === 'completed' ? many : 0) || `${services.desk.booked} are`,
})

const sideBySide = (clients: { desk: Desk }) =>
  saga<Trip>('side by side', options)
    .all({ flight: book(clients), hotel: book(clients) })
    .pivot('confirm', confirm)
    .done()

describe('steps side by side', () => {
  it('run in every order, and are taken back whatever became of the others', async () => {
    const found = await explore(sideBySide, { input, services: { desk }, faults: 2, cancel: true, invariants: bookedAtEnd(2) })
    expect(found.text).toContain('nothing is broken')
    const alone = await explore(sideBySide, { input, services: { desk }, faults: 0 })
    // Which call comes first, and which end is stored first, each after its own call.
    expect(alone.schedules).toBe(6)
  })

  it('are awaited when the time of the saga is over while they are on their way', async () => {
    const hurried = (clients: { desk: Desk }) =>
      saga<Trip>('hurried', { ...options, deadlineMs: 1_000 })
        .all({ flight: { ...book(clients), withinMs: 500 }, hotel: { ...book(clients), withinMs: 500 } })
        .pivot('confirm', confirm)
        .done()
    const found = await explore(hurried, { input, services: { desk }, faults: 1, invariants: bookedAtEnd(2) })
    expect(found.text).toContain('nothing is broken; without a fault it ends compensated or completed')
    const late = await explore(hurried, { input, services: { desk }, replay: '2:deadline,3:flight.store' })
    expect(late.text).toMatch(/2\. the time of the saga is over\n +3\. worker 1 stores: "flight" is done; next: do "hotel"/)
    expect(late.broken).toBeUndefined()
  })

  it('give as many schedules when equal moments are not merged', async () => {
    const merged = await explore(sideBySide, { input, services: { desk }, faults: 1 })
    const each = await walkEvery({ ...(await prepare(sideBySide, { input, services: { desk }, faults: 1 })), breathe }, 1_000_000)
    expect(each).toMatchObject({ schedules: merged.schedules, broken: 0 })
  })

  it('show an update that one of them loses, without any fault', async () => {
    const counter = service({
      state: { count: 0 },
      operations: {
        async add() {},
        addSlowly: {
          async steps(atomic, _request: { key: string }) {
            const before = await atomic(({ count }) => count)
            await atomic((state) => {
              state.count = before + 1
            })
          },
        },
      },
    })
    const both = ({ counter }: { counter: { addSlowly(request: { key: string }): Promise<void> } }) =>
      saga<Trip>('both', options)
        .all({
          one: { do: (c) => counter.addSlowly({ key: c.key }), undo: nothing('for the test') },
          two: { do: (c) => counter.addSlowly({ key: c.key }), undo: nothing('for the test') },
        })
        .done()
    const found = await explore(both, {
      input,
      services: { counter },
      faults: 0,
      invariants: { 'both have counted': ({ services, saga }) => saga.status !== 'completed' || services.counter.count === 2 },
    })
    expect(found.broken).toMatchObject({ rule: 'both have counted', faults: 0 })
  })
})

describe('the other constructs', () => {
  const approved = event('approved', { version: 1, schema: anything(), key: () => 'k' })
  const long = (clients: { desk: Desk }) =>
    saga<Trip>('long', { ...options, deadlineMs: 60_000 })
      .when(
        'insured',
        (c) => c.input.seats.length > 1,
        (branch) => branch.step('insurance', book(clients)),
      )
      .each('seats', (c) => c.input.seats, {
        do: (c, seat) => clients.desk.book({ key: `${c.key}:${seat}` }),
        undo: (c, seat) => clients.desk.giveBack({ key: `${c.key}:${seat}` }),
      })
      .sleep('think', 1_000)
      .wait('approval', { for: approved, where: (c) => c.input.id, withinMs: 10_000, otherwise: 'undo' })
      .approve('boss', { withinMs: 10_000, otherwise: 'undo' })
      .pivot('confirm', { local: (tx) => void Object.assign(localState<object>(tx), { confirmed: true }) })
      .done((c) => ({ by: c.boss.by, seats: c.seats.length }))

  it('are gone through: a branch, a step for each of some items, pauses, a wait, a person, a cancel, a deadline', async () => {
    const seen = new Set<string>()
    const found = await explore(long, {
      input,
      services: { desk },
      faults: 1,
      cancel: true,
      answers: { approval: { ok: true } },
      invariants: {
        ...bookedAtEnd(3),
        'ends as it should': ({ saga, local }) => {
          seen.add(`${saga.status} ${JSON.stringify(saga.output)}`)
          return 'confirmed' in (local as { state: object }).state === (saga.status === 'completed')
        },
      },
    })
    expect(found.text).toContain('nothing is broken')
    expect([...seen].sort()).toEqual(['compensated undefined', 'completed {"by":"somebody","seats":2}'])
  })

  it('a child saga comes to its end, or was undone', async () => {
    const child = saga<Trip>('child', options)
      .local('one', { do: () => undefined, undo: () => undefined })
      .done(() => ({ ticket: 7 }))
    const parent = (clients: { desk: Desk }) =>
      saga<Trip>('parent', options)
        .step('flight', book(clients))
        .child('tour', child, { input: (c) => c.input, undo: (c) => clients.desk.giveBack({ key: c.key }) })
        .pivot('confirm', confirm)
        .done((c) => c.tour.ticket)
    const found = await explore(parent, {
      input,
      services: { desk },
      faults: 2,
      answers: { tour: { ticket: 7 } },
      invariants: { ...bookedAtEnd(1), 'its output is kept': ({ saga }) => saga.status !== 'completed' || saga.output === 7 },
    })
    expect(found.text).toContain('nothing is broken')
  })
})

function anything() {
  return { '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value }) } }
}
