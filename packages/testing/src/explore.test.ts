import { event, isRefusal, refuse } from '@banyan/core'
import { publish } from '@banyan/messaging'
import { saga } from '@banyan/saga'
import { describe, expect, it, vi } from 'vitest'
import { explore } from './explore.ts'
import { localState, type SimulatedContent } from './explore-database.ts'
import type { Engine } from './explore-engine.ts'
import { search, walkEvery } from './explore-search.ts'
import { type AtomicStep, service } from './explore-service.ts'
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
it('goes through more than 5,000 schedules of 6 steps and 3 faults a second', async () => {
  const found = await explore(six, { ...options, faults: 3 })
  expect(found.broken).toBeUndefined()
  expect(found.schedules).toBeGreaterThan(1_000_000)
  expect(found.schedulesPerSecond).toBeGreaterThan(5_000)
})

it('says how much it went through, and how fast', async () => {
  const found = await explore(six, { ...options, faults: 2 })
  expect(found.text).toMatch(
    /^saga six, version 1, every schedule with up to 2 faults: nothing is broken; without a fault it ends completed\n[\d,]+ schedules \([\d,]+ moves between [\d,]+ moments\) in [\d.]+ s: [\d,]+ schedules\/s, [\d,]+ moves\/s$/,
  )
  expect(found.schedules).toBeGreaterThan(10_000)
})

it('gives the same answer each time', async () => {
  const once = await explore(six, { ...options, faults: 2 })
  const again = await explore(six, { ...options, faults: 2 })
  expect({ ...again, text: '', seconds: 0, schedulesPerSecond: 0 }).toEqual({ ...once, text: '', seconds: 0, schedulesPerSecond: 0 })
})

it('finds an engine that keeps the undo of a step only after its success', async () => {
  const { site, rules, first } = await prepare(six, { ...options, faults: 1 })
  const forgetful: Engine = {
    ...site.engine,
    settle(state, action, event) {
      const settled = site.engine.settle(state, action, event)
      if (event.kind !== 'failed' || settled.state.status !== 'undoing' || action.kind === 'undo') return settled
      return { ...settled, state: { ...settled.state, left: settled.state.left.filter((name) => name !== action.step) } }
    },
  }
  const found = await search({ site: { ...site, engine: forgetful }, rules, first, maxMoments: 100_000, breathe })
  expect(found.broken?.rule).toMatch(/a compensated saga leaves no effect: that of "a"/)
})

it('lets happen what was asked for alone', async () => {
  const found = await explore(two, { ...options, faults: 1, kinds: ['crash'] })
  // Before the call leaves, while it travels (it arrives before, between or after what comes next), before and after each write.
  expect(found.schedules).toBeLessThan((await explore(two, { ...options, faults: 1 })).schedules)
  const none = await explore(two, { ...options, faults: 1, kinds: [] })
  expect(none.schedules).toBe(1)
})

it('lets others write in the database of the saga at any moment, once', async () => {
  const asked = (clients: { stock: Stock }) =>
    saga<Order>('asked', { version: 1, key: (order) => order.orderId })
      .step('a', step(clients))
      .pivot('confirm', { local: (tx) => (localState<{ no?: true }>(tx).no ? refuse('cancelled') : undefined) })
      .done()
  const found = await explore(asked, {
    ...options,
    faults: 1,
    meanwhile: { 'the customer cancels': (tx) => Object.assign(localState<object>(tx), { no: true }) },
    invariants: {
      'stock is held for a completed order alone': ({ services, saga }) => services.stock.free === (saga.status === 'completed' ? 8 : 9),
    },
  })
  expect(found.text).toContain('nothing is broken; without a fault it ends compensated or completed')
})

it('keeps what a local step publishes with its transaction', async () => {
  const told = event('told', {
    version: 1,
    schema: { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } },
    key: () => 'k',
  })
  const telling = () =>
    saga<Order>('telling', { version: 1, key: (order) => order.orderId })
      .local('tell', { do: (tx, c) => publish(tx, told, c.input), undo: () => undefined })
      .pivot('confirm', { local: note('confirm') })
      .done()
  const once = (published: unknown) => JSON.stringify(published) === JSON.stringify([{ type: 'told', data: input }])
  const found = await explore(telling, {
    ...options,
    faults: 3,
    invariants: {
      'told once': ({ saga, local }) => saga.status !== 'completed' || once((local as SimulatedContent).published),
    },
  })
  expect(found.text).toContain('nothing is broken')
})

it('checks invariants at every moment when asked to', async () => {
  const found = await explore(six, { ...options, faults: 0, always: { 'never three at once': ({ services }) => services.stock.free > 6 } })
  expect(found.broken).toMatchObject({ rule: 'never three at once', faults: 0, schedule: '' })
  expect(found.text).toContain('it breaks without any fault')
})

it('says when it could not look at everything', async () => {
  const found = await explore(six, { ...options, faults: 2, maxMoments: 20 })
  expect(found).toMatchObject({ complete: false, broken: undefined, moments: 20 })
  expect(found.text).toContain('NOT ALL was looked at; raise maxMoments')
})

describe('what waits for the real world is named', () => {
  const forever = () => new Promise<never>(() => {})
  const calling = (clients: { sky: { look(request: object): Promise<unknown> } }) =>
    saga<Order>('calling', { version: 1, key: (order) => order.orderId })
      .pivot('look', { do: () => clients.sky.look({}) })
      .done()

  it.each([
    [
      'a step',
      'the do of step "fetch"',
      () =>
        explore(
          () =>
            saga<Order>('slow', { version: 1, key: (order) => order.orderId })
              .pivot('fetch', { do: forever })
              .done(),
          options,
        ),
    ],
    [
      'an operation',
      '"look" of "sky"',
      () => explore(calling, { input, services: { sky: service({ state: {}, operations: { look: forever } }) } }),
    ],
    [
      'an operation of several steps, after one of them',
      '"look" of "sky"',
      () => {
        const steps = async (atomic: AtomicStep<object>) => {
          await atomic(() => undefined)
          await forever()
        }
        return explore(calling, { input, services: { sky: service({ state: {}, operations: { look: { steps } } }) } })
      },
    ],
    ['somebody else', '"a clerk" of "meanwhile"', () => explore(two, { ...options, meanwhile: { 'a clerk': forever } })],
  ])('%s', async (_what, who, run) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const failed = expect(run()).rejects.toThrow(`${who} waits for something that is not simulated: a timer, a socket or a file`)
      await vi.advanceTimersByTimeAsync(6_000)
      await failed
    } finally {
      vi.useRealTimers()
    }
  })
})

it.each([
  [{ faults: 11 }, '"faults" is 11, wanted a whole number from 0 to 10'],
  [{ maxMoments: 0 }, '"maxMoments" is 0, wanted a whole number from 1'],
  [{ kinds: ['crsh' as 'crash'] }, '"kinds" has "crsh"; there are error, lost, late, twice, refusal, crash, pause'],
  [
    { answers: { b: 1 } },
    '"answers" has "b"; wanted steps that wait for an event, an approval or a child saga; nothing in saga "two" waits',
  ],
])('refuses %j', async (more, message) => {
  await expect(explore(two, { ...options, ...more })).rejects.toThrow(message)
})

it('refuses an answer to a step that there is not, naming those that wait', async () => {
  const asking = () =>
    saga<Order>('asking', { version: 1, key: (order) => order.orderId })
      .approve('boss', { withinMs: 1_000, otherwise: 'undo' })
      .pivot('confirm', { local: note('confirm') })
      .done()
  const wrong = explore(asking, { ...options, answers: { bos: { limit: 5 } } })
  await expect(wrong).rejects.toThrow('"answers" has "bos"; wanted steps that wait')
  await expect(wrong).rejects.toThrow('those of saga "asking" are boss')
  await expect(explore(asking, { ...options, faults: 1, answers: { boss: { limit: 5 } } })).resolves.toMatchObject({ broken: undefined })
})

it.each(['invariants', 'always'] as const)('refuses an async one among the %s, whatever it would say', async (option) => {
  const late = async () => Promise.reject(new Error('nobody hears this'))
  const found = explore(two, { ...options, faults: 0, [option]: { 'stock adds up': late } })
  await expect(found).rejects.toThrow('the invariant "stock adds up" gives a promise; wanted one that is not async')
})

it('refuses to be called outside a step', async () => {
  await expect(sure.client.reserve({ orderId: 'o1', key: 'k' })).rejects.toThrow('cannot call "reserve" of a simulated service here')
})

it('notes what it could not look at: steps that nothing comes to, effects that nobody tells of', async () => {
  const silent = service({
    state: { sent: 0 },
    operations: {
      send(state, _request: { key: string }) {
        state.sent += 1
      },
    },
  })
  const sending = (clients: { silent: typeof silent.client }) =>
    saga<Order>('sending', { version: 1, key: (order) => order.orderId })
      .when(
        'big',
        (c) => c.input.orderId === 'big',
        (branch) => branch.local('note', { do: note('big'), undo: note('not big') }),
      )
      .pivot('confirm', { local: note('confirm') })
      .step('send', { do: (c) => clients.silent.send({ key: c.key }) })
      .done()
  const found = await explore(sending, { input, services: { silent }, local: { notes: [] }, faults: 1 })
  expect(found.notes).toEqual([
    'no schedule comes to step "note"',
    'silent.send changes its state and never says did() or undid(): the rules about effects do not see it',
  ])
  expect(found.text).toContain('note: no schedule comes to step "note"')
})

it('finds an effect that a stuck saga has forgotten', async () => {
  const forgets = service({
    state: { keys: {} as Record<string, true> },
    operations: {
      take(state, { key }: { key: string }, call) {
        if (state.keys[key]) return
        state.keys[key] = true
        call.did()
      },
      giveBack(state, { key }: { key: string }, call) {
        if (state.keys[key]) call.undid()
        delete state.keys[key]
      },
    },
  })
  const take = (clients: { forgets: typeof forgets.client }) => ({
    do: (c: { key: string }) => clients.forgets.take({ key: c.key }),
    undo: (c: { key: string }) => clients.forgets.giveBack({ key: c.key }),
  })
  const taking = (clients: { forgets: typeof forgets.client }) =>
    saga<Order>('taking', { version: 1, key: (order) => order.orderId })
      .step('a', take(clients))
      .step('b', take(clients))
      .done()
  // The call of "b" comes after its undo, as there is no tombstone; then the undo of "a" fails for good.
  const replay = '3:b.late,4:b.gives-up,7:b.arrives,8:undo-a.error,9:undo-a.gives-up'
  const found = await explore(taking, { input, services: { forgets }, replay })
  expect(found.broken?.rule).toBe('a stuck saga knows what is still to be undone: that of "b" (forgets saga-1:b) is not among it')
  expect(found.text).toContain('one schedule, 2 faults: BROKEN')
})

it('finds an effect that happens twice in a step that only a fault leads to', async () => {
  const till = () =>
    service({
      state: { paid: 0 },
      operations: {
        charge: {
          guard: 'till',
          refusals: ['declined'],
          do(state, _request: { key: string }) {
            state.paid += 1
          },
        },
        refund: {
          guard: 'till',
          undo(state, _request: { key: string }) {
            state.paid -= 1
          },
        },
      },
    })
  const services = { one: till(), other: till() }
  type Clients = { one: typeof services.one.client; other: typeof services.other.client }
  const paying = ({ one, other }: Clients) =>
    saga<Order>('paying', { version: 1, key: (order) => order.orderId })
      .step('one', {
        do: async (c) => ({ isPaid: !isRefusal(await one.charge({ key: c.key })) }),
        undo: (c) => one.refund({ key: c.key }),
      })
      .when(
        'declined',
        (c) => c.one?.isPaid === false,
        // The mistake: a key of its own for each attempt.
        (branch) =>
          branch.step('other', {
            do: (c) => other.charge({ key: `${c.key}-${c.attempt}` }),
            undo: (c) => Promise.all([1, 2].map((n) => other.refund({ key: `${c.key}-${n}` }))),
            retry: { attempts: 2 },
          }),
      )
      .pivot('confirm', { local: () => undefined })
      .done()
  const explored = (replay?: string) =>
    explore(paying, { input, services, faults: 2, mayLack: ['one'], ...(replay !== undefined && { replay }) })
  const found = await explored()
  expect(found.broken?.rule).toBe('no effect happens twice: the saga completed, and "other" has left 2 effects in place of 1')
  expect((await explored(found.broken?.schedule)).broken).toEqual(found.broken)
})

it('tells two services apart that do the same', async () => {
  const double = (clients: { left: Stock; right: Stock }) =>
    saga<Order>('double', { version: 1, key: (order) => order.orderId })
      .step('a', step({ stock: clients.left }))
      .step('b', step({ stock: clients.right }))
      .pivot('confirm', { local: note('confirm') })
      .done()
  const found = await explore(double, {
    input,
    services: { left: sure, right: sure },
    local: { notes: [] },
    faults: 1,
    invariants: {
      'one each': ({ services: { left, right }, saga }) => saga.status !== 'completed' || (left.free === 8 && right.free === 8),
    },
  })
  expect(found.text).toContain('nothing is broken')
})
