import type { ServerResponse } from 'node:http'

/**
 * Calls `onStalled` when the client takes nothing for so long of what waits for it, milliseconds; whoever reads slowly does read. At most
 * twice as late. Only once for an answer, and only for one that the client does not take at once: it costs a timer.
 */
export function whenStalled(response: ServerResponse, idleMs: number, onStalled: () => void): void {
  // The socket's own timeout: it also sees what is taken of a write that is under way, which no event tells.
  response.setTimeout(idleMs, () => {
    // Else it is the service that takes its time.
    if (response.writableLength > 0) onStalled()
  })
  // Before Node sets the time for which it keeps the connection.
  response.prependOnceListener('finish', () => response.socket?.setTimeout(0))
}
