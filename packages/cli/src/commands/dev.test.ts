import { describe, expect, it } from 'vitest'
import { isSource } from './dev.ts'

describe('banyan dev restarts', () => {
  const changed = (path: string, dataDir = 'shop/data') => isSource(path, 'shop', dataDir)

  it('when code changes, also of a service that is called like the data folder', () => {
    expect(['system.ts', 'orders/main.mjs', 'orders/data/main.ts', 'database/rows.json'].map((path) => changed(path))).toEqual(
      Array(4).fill(true),
    )
  })

  it('not when its own data changes, whatever the folder is called', () => {
    expect(changed('data/registry.json')).toBe(false)
    expect(changed('var/registry.json', 'shop/var')).toBe(false)
    expect(changed('var/run/.cache/a/b.json', 'shop/var/run')).toBe(false)
  })

  it('not when what is installed or built changes, nor for what is no code', () => {
    for (const path of ['node_modules/a/index.js', 'orders/dist/main.js', 'orders/notes.txt']) expect(changed(path)).toBe(false)
  })

  it('when code changes beside the folder of data, in the folder that the system is run from', () => {
    expect(changed('variable/main.ts', 'shop/var')).toBe(true)
    for (const dataDir of ['.', 'shop']) expect(changed('main.ts', dataDir)).toBe(true)
    for (const path of ['registry.json', '.cache/a.json']) expect(changed(path, 'shop')).toBe(false)
  })
})
