import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

/**
 * A request as the pipeline reads it, whatever carried it: an `IncomingMessage` of HTTP/1.1, or a stream of HTTP/2 with the same members.
 * `httpVersion` is `2` for the latter; a line that says `HTTP/2.0` on a connection of HTTP/1.1 is `2.0`, and refused.
 */
export type Inbound = Readable & Pick<IncomingMessage, 'method' | 'url' | 'httpVersion' | 'rawHeaders' | 'rawTrailers' | 'socket'>
