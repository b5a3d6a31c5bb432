import { expect, it } from 'vitest'
import { sagasIn } from './saga-module.ts'
import { explored, other } from './test/sagas/both-ways.ts'

it('knows a saga that is explored in two situations as one, also where nothing exports it by itself', async () => {
  const { definitions, explorables } = await sagasIn({ explored, other })
  expect(definitions.map(({ name }) => name)).toEqual(['both-ways'])
  expect(explorables).toEqual([explored, other])
})
