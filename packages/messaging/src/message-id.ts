import type { Envelope } from '@banyan/core'
import { short } from './short.ts'

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/**
 * What inbox and key queue know an event by, and whoever else keeps what events they have seen. A UUID, as every event of Banyan's has, is
 * its own; any other id is unique within its source alone, so the source is part of it. Up to 501 characters.
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, "id"
 */
export function messageIdOf({ id, source }: Pick<Envelope, 'id' | 'source'>): string {
  // As JSON: whatever characters the two have, no other pair reads the same.
  return UUID.test(id) ? id : short(JSON.stringify([source, id]))
}
