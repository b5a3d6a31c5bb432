import { event, type Migration, type Refusal, refuse, type Schema } from '@banyan/core'
import { type Saga, saga } from '@banyan/saga'
import { call } from './call.ts'

/** What a saga of a trial is about. */
export interface Order {
  readonly orderId: string
}

/** What a trial's steps must have left: the way to the pivot, and past it. */
export const STEPS = { before: ['order', 'stock', 'money', 'courier'], past: ['confirm', 'label', 'receipt'] }

/** The row of `placed` that says: no more orders. */
export const CLOSED = '(closed)'

/** How a call may end: patiently, as a participant that was killed is back in a moment; or not, so that sagas turn round. */
const PATIENT = { attempts: 20, baseMs: 30, capMs: 400 }
const IMPATIENT = { attempts: 3, baseMs: 20, capMs: 100 }
/** Nobody is there to decide about a stuck saga. */
const UNTIL_DONE = { attempts: 10_000, baseMs: 20, capMs: 200 }

/** The word that an order waits for. */
export const wordGiven = event('word.given', { schema: anyOrder(), key: ({ orderId }) => orderId })

/** Whether an order's word is ever given; the others are undone when their time is over. */
export function hasWord(seed: number, orderId: string): boolean {
  return hash(`${seed} ${orderId} word`) > 0.1
}

/** The way of an order: local steps, calls to two participants, two of them at once, a wait, and a point of no return in the middle. */
export function orderSaga(folder: string): Saga<Order> {
  const at = (service: string, step: string, kind: 'do' | 'undo') => (c: Caller) =>
    call(folder, { service, step, kind, key: c.key, saga: c.id, orderId: c.input.orderId }, c.signal)
  const effect = (step: string, kind: 'do' | 'undo') => async (tx: Writer, c: { readonly id: string }) =>
    void (await tx.sql`insert into effects (saga, step, kind) values (${c.id}, ${step}, ${kind})`)
  return saga<Order>('order', { version: 1, key: ({ orderId }) => orderId })
    .local('order', { do: effect('order', 'do'), undo: effect('order', 'undo') })
    .step('stock', {
      do: at('stock', 'stock', 'do'),
      undo: at('stock', 'stock', 'undo'),
      withinMs: 300,
      retry: PATIENT,
      undoRetry: UNTIL_DONE,
    })
    .all({
      money: { do: at('money', 'money', 'do'), undo: at('money', 'money', 'undo'), withinMs: 250, retry: IMPATIENT, undoRetry: UNTIL_DONE },
      courier: {
        do: at('stock', 'courier', 'do'),
        undo: at('stock', 'courier', 'undo'),
        withinMs: 300,
        retry: PATIENT,
        undoRetry: UNTIL_DONE,
      },
    })
    .wait('word', { for: wordGiven, where: (c) => c.input.orderId, withinMs: 1_500, otherwise: 'undo' })
    .pivot('confirm', { local: (tx, c) => effect(`confirm${withoutOf(c)}`, 'do')(tx, c), retry: UNTIL_DONE })
    .step('label', { do: at('money', 'label', 'do'), withinMs: 300, retry: UNTIL_DONE })
    .local('receipt', { do: effect('receipt', 'do'), retry: UNTIL_DONE })
    .done()
}

/** What is to have come to an order by now, and has not: a saga that was taken up again knows what it knew. */
function withoutOf({ input: { orderId }, stock, money, courier, word }: Known): string {
  const known = { stock: stock?.done === 'stock', money: money?.done === 'money', courier: courier?.done === 'courier' }
  const missing = Object.entries({ ...known, word: word?.orderId === orderId }).flatMap(([what, isThere]) => (isThere ? [] : [what]))
  return missing.length === 0 ? '' : `, without ${missing.join(', ')}`
}

type Known = { readonly input: Order; readonly word: Partial<Order> | undefined } & Readonly<
  Record<'stock' | 'money' | 'courier', { readonly done: string } | undefined>
>

function anyOrder(): Schema<Order> {
  // Only the orchestrator of this example gives words.
  return { '~standard': { version: 1, vendor: 'crash', validate: (value) => ({ value: value as Order }) } }
}

interface Caller {
  readonly id: string
  readonly key: string
  readonly input: Order
  readonly signal: AbortSignal
}

type Writer = { sql(text: TemplateStringsArray, ...values: string[]): Promise<unknown> }

/** What a participant says about a step of an order, drawn from the trial's seed: the same in each attempt. */
export type Fate = 'accepted' | 'refused' | 'unreachable'

/** One in ten orders is refused at a step; one in ten is never answered in time by those who keep the money. */
export function fateOf(seed: number, orderId: string, step: string): Fate {
  if (!STEPS.before.includes(step)) return 'accepted'
  const drawn = hash(`${seed} ${orderId} ${step}`)
  if (drawn < 0.1) return 'refused'
  return step === 'money' && drawn < 0.2 ? 'unreachable' : 'accepted'
}

/** The step at which an order is refused, when it comes to it. */
export function refusedAt(seed: number, orderId: string): string | undefined {
  return STEPS.before.slice(1).find((step) => fateOf(seed, orderId, step) === 'refused')
}

export function refusal(): Refusal<'drawn'> {
  return refuse('drawn', 'the seed says no')
}

/** FNV-1a, and a number in [0, 1) of it. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return ((value ^ (value >>> 16)) >>> 0) / 4_294_967_296
}

/** What every service of the trial records, in the order it happened, with nothing that would hide a second effect. */
export function effectTables(dialect: 'sqlite' | 'postgres'): readonly Migration[] {
  const position = dialect === 'sqlite' ? 'integer primary key autoincrement' : 'bigint generated always as identity primary key'
  return [
    { id: '001-effects', sql: `create table effects (position ${position}, saga text not null, step text not null, kind text not null)` },
    { id: '002-placed', sql: 'create table placed (order_id text primary key, saga text not null)' },
    { id: '003-naive-keys', sql: 'create table naive_keys (key text primary key)' },
  ]
}
