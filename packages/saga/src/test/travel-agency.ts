// A travel agency for the crash tests of sagas: its own database, and that of the hotels and airlines it books with.
// As a program it runs the sagas until it is killed: node travel-agency.ts <module> <own place> <partner's place> <worker id>
import { type Component, type ComponentContext, type Database, type Refusal, refuse, silentLogger, sleep, systemWorld } from '@banyan/core'
import { participant, runSagas, type Saga, saga } from '../index.ts'
import { tourWith } from './tour.ts'

export interface Trip {
  n: number
}

/** Where the agency's databases are. */
export interface AgencySite {
  /** The URL of a module with `open(place: string): Database`. */
  readonly module: string
  readonly own: string
  readonly partner: string
}

export interface Agency {
  readonly own: Database
  /** Another service's database; what is done there is not in the agency's transactions. */
  readonly partner: Database
  readonly booking: Saga<Trip, { flight: string }>
  /** All constructs, and a booking inside. */
  readonly tour: Saga<Trip, { flight: string }>
  work(workerId: string): Promise<Component>
  close(): Promise<void>
}

/** @param onEffect called when a partner has done something, before its answer gets back */
export async function agency(site: AgencySite, onEffect: () => void = () => {}): Promise<Agency> {
  const { open }: { open: (place: string) => Database } = await import(site.module)
  const own = open(site.own)
  const partner = open(site.partner)
  await Promise.all([own, partner].map((database) => database.migrate([effectsOf(database)])))
  const context: ComponentContext = {
    ...{ service: 'agency', instanceId: systemWorld.uuid(), world: systemWorld, log: silentLogger, bus: undefined },
    database: own,
  }
  const call = partnerCalls(partner, onEffect)
  const booking = bookingWith(call)
  const tour = tourWith(call, booking)
  return {
    own,
    partner,
    booking,
    tour,
    async work(workerId) {
      const worker = runSagas([booking, tour], { workerId, leaseMs: 600, pollMs: 50, concurrency: 8 })
      await worker.start(context)
      return worker
    },
    async close() {
      await own.close()
      await partner.close()
    },
  }
}

function effectsOf({ dialect }: Database) {
  const id = dialect === 'sqlite' ? 'integer primary key' : 'bigint generated always as identity primary key'
  return { id: '001-effects', sql: `create table effects (id ${id}, trip integer, what text)` }
}

function bookingWith(call: PartnerCalls): Saga<Trip, { flight: string }> {
  const retry = { attempts: 6, baseMs: 5, capMs: 40 }
  return saga<Trip>('booking', { version: 1, key: ({ n }) => `trip ${n}` })
    .local('note', {
      do: async (tx, c) => void (await tx.sql`insert into effects (trip, what) values (${c.input.n}, 'noted')`),
      undo: async (tx, c) => void (await tx.sql`insert into effects (trip, what) values (${c.input.n}, 'rejected')`),
    })
    .step('hotel', { do: (c) => call.make(c, 'hotel'), undo: (c) => call.cancel(c, 'hotel'), retry, undoRetry: { baseMs: 5, capMs: 40 } })
    .step('flight', {
      do: (c) => call.make(c, 'flight'),
      undo: (c) => call.cancel(c, 'flight'),
      retry,
      undoRetry: { baseMs: 5, capMs: 40 },
    })
    .pivot('confirm', {
      local: async (tx, c) => void (await tx.sql`insert into effects (trip, what) values (${c.input.n}, 'confirmed')`),
    })
    .step('mail', { do: (c) => call.make(c, 'mail'), retry })
    .done((c) => ({ flight: c.flight.ticket }))
}

interface Call {
  readonly input: Trip
  readonly key: string
}

/** Calls that take a moment, and whose answer is lost now and then. */
export interface PartnerCalls {
  make(call: Call, what: string): Promise<{ ticket: string } | Refusal>
  cancel(call: Call, what: string): Promise<void>
}

function partnerCalls(partner: Database, onEffect: () => void): PartnerCalls {
  const answer = async <T>(value: T): Promise<T> => {
    onEffect()
    await sleep(systemWorld, systemWorld.random() * 4)
    if (systemWorld.random() < 0.1) throw new Error('the answer was lost')
    return value
  }
  return {
    async make({ input: { n }, key }: Call, what: string) {
      const ticket = await partner.transaction((tx) =>
        participant(tx, { key, operation: what, kind: 'do', fingerprint: n }, async () => {
          if (what === 'flight' && n % 4 === 1) return refuse('full', `no seat for trip ${n}`)
          await tx.sql`insert into effects (trip, what) values (${n}, ${what})`
          return { ticket: `${what} ${n}` }
        }),
      )
      return answer(ticket)
    },
    async cancel({ input: { n }, key }: Call, what: string) {
      await partner.transaction((tx) =>
        participant(tx, { key, operation: what, kind: 'undo' }, async () => {
          await tx.sql`insert into effects (trip, what) values (${n}, ${`${what} cancelled`})`
        }),
      )
      await answer(undefined)
    },
  }
}

if (import.meta.main) {
  const [module = '', own = '', partner = '', workerId = 'a'] = process.argv.slice(2)
  // A parent that is gone, however it went, takes its children along.
  process.on('disconnect', () => process.exit(0))
  const { work } = await agency({ module, own, partner }, () => process.send?.('effect'))
  await work(workerId)
}
