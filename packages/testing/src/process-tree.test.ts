import { expect, it } from 'vitest'
import { processTree, signalTo } from './process-tree.ts'

it.each([0, -1, Number.NaN])('takes %s for no process: it would stand for a group, or for all there are', (pid) => {
  expect(() => signalTo(pid, 0)).toThrow(RangeError)
  expect(() => processTree(pid)).toThrow(RangeError)
})
