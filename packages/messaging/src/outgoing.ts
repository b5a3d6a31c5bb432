import { type Envelope, EnvelopeError } from '@banyan/core'
import { envelopeOf } from './outbox-body.ts'
import type { OutboxEntry } from './ports.ts'

/** An event of the outbox on its way to the bus. */
export interface Outgoing extends OutboxEntry {
  /** What it keeps its order in, as every store gives it back; one that cannot be read has a key of its own. */
  readonly key: string
  readonly content: Envelope | EnvelopeError
}

/** Reads what stands in the outbox. */
export function outgoingOf(entry: OutboxEntry): Outgoing {
  const { position, body } = entry
  const content = contentOf(body)
  return { position, body, content, key: content instanceof EnvelopeError ? `outbox-${position}` : asStored(content.subject) }
}

/** PostgreSQL has no NUL in texts, and no database half a pair of surrogates. Whoever looks for what is parked finds it by this. */
function asStored(text: string): string {
  const formed = text.toWellFormed()
  return formed.includes('\0') ? formed.replaceAll('\0', '\ufffd') : formed
}

/** The envelope of an event. @throws {EnvelopeError} `ERR_ENVELOPE_INVALID` where it cannot be read */
export function envelopeIn({ content }: Outgoing): Envelope {
  if (content instanceof EnvelopeError) throw content
  return content
}

function contentOf(body: string): Envelope | EnvelopeError {
  try {
    return envelopeOf(body)
  } catch (error) {
    if (error instanceof EnvelopeError) return error
    throw error
  }
}
