import type { Instance } from '@banyan/core'
import { expect, test } from 'vitest'
import { keyOf, storedValue } from './etcd-instance.ts'
import { afterMessages, viewOf } from './etcd-view.ts'

const instance: Instance = { id: 'o-1', service: 'orders', host: '127.0.0.1', port: 3001 }
const key = Buffer.from(keyOf('/r', instance)).toString('base64')
const header = (revision: number) => ({ revision: String(revision) })
const put = (revision: number) => ({ kv: { key, value: storedValue(instance, false), mod_revision: String(revision) } })
const gone = (revision: number) => ({ type: 'DELETE', kv: { key, mod_revision: String(revision) } })

test('an event from before the listing takes nobody out who is in it', () => {
  const listed = viewOf({ header: header(11), kvs: [put(11).kv] })
  const late = afterMessages(listed, [{ header: header(11), events: [gone(10)] }])
  expect([[...late.instances.keys()], [...late.lost]]).toEqual([[keyOf('/r', instance)], []])
  // One that catches up names the revision etcd has reached, in each of its messages.
  const catchingUp = afterMessages(late, [{ header: header(20), events: [put(12)] }])
  expect(afterMessages(catchingUp, [{ header: header(20), events: [gone(13)] }]).lost).toEqual(new Set(['o-1']))
})
