/** One way to move messages out of a database, with a backlog of them. */
export interface RelaySubject {
  /** Puts `messages` into the backlog, through the engine's own tables. */
  fill(messages: number): Promise<void>
  /** Begins to move them; calls `sink` with how many it has just been handed, as often as it is. The sink does nothing. */
  start(sink: (count: number) => void): Promise<void>
  /** Resolves when what the sink was handed is marked as done. Missing: it is when `sink` is called. */
  settled?(): Promise<void>
  stop(): Promise<void>
}

/** The keys of the messages, for those who keep order within a key. */
export const KEYS = 1_000

/** SQL for the body of message `n`: an envelope of about 400 bytes, as ours are. */
export function bodySql(n: string): string {
  return `json_build_object('specversion', '1.0', 'id', lpad(to_hex(${n}), 8, '0') || '-0000-7000-8000-000000000000', 'source', 'bench',
    'type', 'order.placed', 'subject', 'order-' || (${n} % ${KEYS}), 'time', '2026-01-01T00:00:00.000Z', 'datacontenttype', 'application/json',
    'dataschema', 'order.placed/1', 'data', json_build_object('orderId', 'order-' || (${n} % ${KEYS}), 'n', ${n}, 'note', repeat('.', 100)),
    'correlationid', 'order-' || (${n} % ${KEYS}))`
}
