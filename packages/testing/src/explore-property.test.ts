import { type AnySaga, saga } from '@banyan/saga'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { explore } from './explore.ts'
import { localState } from './explore-database.ts'
import { walkEvery } from './explore-search.ts'
import { service } from './explore-service.ts'
import { type ExploreOptions, prepare } from './explore-setup.ts'

interface Input {
  readonly id: string
}

/** Does everything right: the guard sees to it. */
const desk = service({
  state: { booked: [] as string[] },
  operations: {
    book: {
      guard: 'desk',
      refusals: ['full'],
      do(state, { key }: { key: string }) {
        state.booked.push(key)
        return { booked: key }
      },
    },
    giveBack: {
      guard: 'desk',
      undo(state, { key }: { key: string }) {
        state.booked = state.booked.filter((one) => one !== key)
      },
    },
    sure: {
      guard: 'desk',
      do(state, { key }: { key: string }) {
        state.booked.push(key)
      },
    },
  },
})
type Desk = typeof desk.client

type Part = 'remote' | 'local' | 'together' | 'each' | 'when'
interface Shape {
  readonly before: readonly Part[]
  readonly pivot: boolean
  readonly after: readonly Extract<Part, 'remote' | 'local'>[]
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  before: fc.array(fc.constantFrom<Part>('remote', 'local', 'together', 'each', 'when'), { minLength: 1, maxLength: 2 }),
  pivot: fc.boolean(),
  after: fc.array(fc.constantFrom<'remote' | 'local'>('remote', 'local'), { maxLength: 1 }),
})

const rows = (tx: Parameters<typeof localState>[0]) => localState<{ rows: string[] }>(tx).rows
const local = (name: string) => ({
  do: (tx: Parameters<typeof localState>[0]) => void rows(tx).push(name),
  undo: (tx: Parameters<typeof localState>[0]) => void rows(tx).splice(rows(tx).indexOf(name), 1),
})
const remote = (desk: Desk) => ({
  do: (c: { key: string }) => desk.book({ key: c.key }),
  undo: (c: { key: string }) => desk.giveBack({ key: c.key }),
})

/** The builder as it is when the names of the steps are not known to the compiler. */
interface LooseBuilder {
  step(name: string, step: object): LooseBuilder
  local(name: string, step: object): LooseBuilder
  all(steps: object): LooseBuilder
  each(name: string, items: () => readonly string[], step: object): LooseBuilder
  when(name: string, predicate: () => boolean, build: (branch: LooseBuilder) => LooseBuilder): LooseBuilder
  pivot(name: string, step: object): LooseBuilder
  done(): AnySaga
}

function withPart(builder: LooseBuilder, part: Part, name: string, desk: Desk): LooseBuilder {
  switch (part) {
    case 'remote':
      return builder.step(name, remote(desk))
    case 'local':
      return builder.local(name, local(name))
    case 'together':
      return builder.all({ [`${name}x`]: remote(desk), [`${name}y`]: remote(desk) })
    case 'each': {
      const item = { do: (c: { key: string }, of: string) => desk.book({ key: c.key + of }) }
      const undo = (c: { key: string }, of: string) => desk.giveBack({ key: c.key + of })
      return builder.each(name, () => ['x', 'y'], { ...item, undo })
    }
    case 'when':
      return builder.when(
        name,
        () => true,
        (branch) => branch.step(`${name}in`, remote(desk)),
      )
  }
}

const sagaOf = ({ before, pivot, after }: Shape, { desk }: { desk: Desk }): AnySaga => {
  let builder = saga<Input>('random', { version: 1, key: ({ id }) => id, deadlineMs: 60_000 }) as unknown as LooseBuilder
  for (const [index, part] of before.entries()) {
    const name = `b${index}`
    builder = withPart(builder, part, name, desk)
  }
  if (!pivot) return builder.done()
  builder = builder.pivot('pivot', { local: (tx: Parameters<typeof localState>[0]) => void rows(tx).push('pivot') })
  for (const [index, part] of after.entries()) {
    const name = `a${index}`
    const { do: body } = local(name)
    builder =
      part === 'remote' ? builder.step(name, { do: (c: { key: string }) => desk.sure({ key: c.key }) }) : builder.local(name, { do: body })
  }
  return builder.done()
}

const optionsOf = (shape: Shape, faults: number) =>
  ({
    input: { id: 'r1' },
    services: { desk },
    local: { rows: [] },
    faults,
    cancel: true,
    invariants: {
      'all of it is there, or nothing': ({ services, saga, local }) => {
        const { rows } = (local as { state: { rows: string[] } }).state
        const there = services.desk.booked.length + rows.length
        const all =
          shape.before.flatMap((part) => (part === 'together' || part === 'each' ? [1, 1] : [1])).length +
          (shape.pivot ? 1 + shape.after.length : 0)
        return there === (saga.status === 'completed' ? all : 0) || `${there} of ${all} in a ${saga.status} one`
      },
    },
  }) satisfies ExploreOptions<Input, { desk: typeof desk }>

it('nothing breaks a saga whose participants are guarded, whatever its shape', async () => {
  await fc.assert(
    fc.asyncProperty(shapes, async (shape) => {
      const wide = shape.before.includes('together')
      const found = await explore((clients: { desk: Desk }) => sagaOf(shape, clients) as never, optionsOf(shape, wide ? 1 : 2))
      expect(found.broken, found.text).toBeUndefined()
    }),
    { numRuns: 10, seed: 3 },
  )
}, 60_000)

it('merging equal moments changes neither the number of schedules nor what is found', async () => {
  await fc.assert(
    fc.asyncProperty(shapes, async (shape) => {
      const make = (clients: { desk: Desk }) => sagaOf(shape, clients) as never
      const merged = await explore(make, optionsOf(shape, 1))
      const breathe = () => new Promise<void>((resolve) => setImmediate(resolve))
      const each = await walkEvery({ ...(await prepare(make, optionsOf(shape, 1))), breathe }, 200_000)
      expect(each).toMatchObject({ schedules: merged.schedules, broken: 0 })
    }),
    { numRuns: 6, seed: 5 },
  )
}, 60_000)
