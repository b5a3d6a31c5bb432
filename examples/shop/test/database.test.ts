import { expect, it } from 'vitest'
import { shopDatabase } from '../database.ts'

it.each([
  ['host/shop', '"host/shop"'],
  ['shop:secret@host:5432/shop', '"***@host:5432/shop"'],
  ['mysql://shop:secret@host/shop', '"mysql://***@host/shop"'],
  ['postgres://shop:secret@/shop', '"postgres://***@/shop"'],
])('says which variable is wrong, and no password: %s', async (url, shown) => {
  await expect(shopDatabase({ SHOP_DATABASE: 'postgres', SHOP_DATABASE_URL: url })).rejects.toThrow(
    `SHOP_DATABASE_URL is ${shown}, wanted postgres://user:password@host/name`,
  )
})

it.each(['postgres://host/shop', 'postgresql://shop:secret@host:5433/shop', 'postgres://host'])('takes %s as it is', async (url) => {
  expect(await shopDatabase({ SHOP_DATABASE: 'postgres', SHOP_DATABASE_URL: url })).toMatchObject({ url })
})

it('is SQLite where nothing is said', async () => {
  expect(await shopDatabase({})).toMatchObject({ url: undefined })
  expect(await shopDatabase({ SHOP_DATABASE: '' })).toMatchObject({ url: undefined })
  await expect(shopDatabase({ SHOP_DATABASE: 'oracle' })).rejects.toThrow('SHOP_DATABASE is "oracle", wanted sqlite or postgres')
})
