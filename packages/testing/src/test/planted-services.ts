import { refuse } from '@banyan/core'
import { service } from '../explore-service.ts'

// Those who take part in the sagas of planted-bugs.ts, some of them with a mistake.

export interface Order {
  readonly orderId: string
  readonly cents: number
}

interface Keyed extends Order {
  readonly key: string
}

/** A stock that does everything right: the guard sees to it. */
export const stock = service({
  state: { free: 3 },
  operations: {
    reserve: {
      guard: 'stock',
      refusals: ['out-of-stock'],
      do(state, { orderId }: Keyed) {
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

/** A till that does everything right. */
export const till = service({
  state: { taken: 0 },
  operations: {
    charge: {
      guard: 'money',
      refusals: ['declined'],
      do(state, { cents }: { key: string; cents: number }) {
        state.taken += cents
        return { paymentId: 'p1', cents }
      },
    },
    refund: {
      guard: 'money',
      undo(state, { cents }: { key: string; cents: number }) {
        state.taken -= cents
      },
    },
  },
})

interface TillMistakes {
  readonly forgetsRefunds?: boolean
  readonly forgetsEmptyRefunds?: boolean
  readonly failsEmptyRefunds?: boolean
}

/** A till written by hand, without the guard, with the mistakes asked for. */
export function tillOf({ forgetsRefunds = false, forgetsEmptyRefunds = false, failsEmptyRefunds = false }: TillMistakes) {
  return service({
    state: { charges: {} as Record<string, 'charged' | 'refunded' | 'void'> },
    operations: {
      charge: {
        refusals: ['declined'],
        run(state, { key, cents }: { key: string; cents: number }, call) {
          const before = state.charges[key]
          if (before === 'charged') return { paymentId: 'p1', cents }
          if (before === 'refunded' || before === 'void') return refuse('cancelled')
          state.charges[key] = 'charged'
          call.did()
          return { paymentId: 'p1', cents }
        },
      },
      refund(state, { key }: { key: string; cents: number }, call) {
        const before = state.charges[key]
        if (before === undefined && failsEmptyRefunds)
          throw Object.assign(new Error('there is no such payment'), { code: 'ERR_UNKNOWN_PAYMENT', status: 404 })
        if (before === undefined && !forgetsEmptyRefunds) state.charges[key] = 'void'
        if (before !== 'charged' && !(before === 'refunded' && forgetsRefunds)) return undefined
        state.charges[key] = 'refunded'
        call.undid()
        return undefined
      },
    },
  })
}

export const shipping = service({
  state: { labels: 0 },
  operations: {
    label: {
      guard: 'label',
      refusals: ['unknown-address'],
      do(state, { orderId }: { orderId: string; key: string }) {
        state.labels += 1
        return { tracking: `t-${orderId}` }
      },
    },
  },
})

/** Says no while there is a way back, and not after it. */
export const sureShipping = service({
  state: { labels: 0 },
  operations: {
    checkAddress: { refusals: ['unknown-address'], run: (_state, _request: { orderId: string }) => ({ known: true }) },
    label: {
      guard: 'label',
      do(state, { orderId }: { orderId: string; key: string }) {
        state.labels += 1
        return { tracking: `t-${orderId}` }
      },
    },
  },
})

export function hallOf(knowsItsGuests: boolean) {
  return service({
    state: { seat: undefined as string | undefined },
    operations: {
      book(state, { key }: { key: string }, call) {
        if (state.seat !== undefined) return knowsItsGuests && state.seat === key ? { seat: 1 } : refuse('taken')
        state.seat = key
        call.did()
        return { seat: 1 }
      },
    },
  })
}

export function readsFirst(locked: boolean) {
  return service({
    state: { free: 3, keys: {} as Record<string, 'held' | 'void'> },
    operations: {
      reserve: {
        async steps(atomic, { key }: Keyed, call) {
          const answer = { reservationId: `r-${key}` }
          const known = locked ? undefined : await atomic((state) => state.keys[key])
          if (known) return known === 'held' ? answer : refuse('cancelled')
          const seen = await atomic((state) => {
            const before = locked ? state.keys[key] : undefined
            if (before) return before
            state.keys[key] = 'held'
            state.free -= 1
            call.did()
            return 'held'
          })
          return seen === 'held' ? answer : refuse('cancelled')
        },
      },
      release(state, { key }: { key: string }, call) {
        if (state.keys[key] === 'held') {
          state.free += 1
          call.undid()
        }
        state.keys[key] = 'void'
      },
    },
  })
}

interface SeatMistakes {
  readonly looksLast?: boolean
  readonly forgetsRefusals?: boolean
}

/** Seats without the guard, in transactions of their own: with the mistakes asked for. */
export function seatsOf({ looksLast = false, forgetsRefusals = false }: SeatMistakes) {
  return service({
    state: { seats: {} as Record<string, 'held' | 'free' | 'refused'> },
    operations: {
      take: {
        refusals: ['full'],
        async steps(atomic, { key }: { key: string }, call) {
          const before = await atomic(({ seats }) => {
            const known = seats[key]
            if (known === 'held' || known === 'refused' || (known === 'free' && !looksLast)) return known
            if (call.refusal) {
              if (!forgetsRefusals) seats[key] = 'refused'
              return 'refused'
            }
            seats[key] = 'held'
            call.did()
            return known
          })
          if (before === 'refused') return refuse('full')
          if (before !== 'free') return { seat: 1 }
          if (!looksLast) return refuse('cancelled')
          await atomic(({ seats }) => {
            if (seats[key] === 'held') call.undid()
            seats[key] = 'free'
          })
          return refuse('cancelled')
        },
      },
      giveBack(state, { key }: { key: string }, call) {
        if (state.seats[key] === 'held') call.undid()
        state.seats[key] = 'free'
      },
    },
  })
}

export function pointsOf(withKey: boolean) {
  const give = (state: { points: number }, _request: { key: string }) => {
    state.points += 10
    return { points: state.points }
  }
  return service({
    state: { points: 0 },
    operations: {
      give: withKey
        ? { guard: 'points', do: give }
        : (state: { points: number }, request: { key: string }, call: { did(): void }) => {
            call.did()
            return give(state, request)
          },
    },
  })
}

export const mail = service({
  state: { sent: 0 },
  operations: {
    send(state, _request: { orderId: string }, call) {
      state.sent += 1
      call.did()
    },
    sendOnce: {
      guard: 'mail',
      do(state, _request: { orderId: string; key: string }) {
        state.sent += 1
      },
    },
  },
})
