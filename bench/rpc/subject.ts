/** What every subject is asked: the same fields over every protocol. */
export interface Order {
  readonly product: string
  readonly quantity: number
  readonly note: string
}

/** What every subject answers. */
export interface Stock {
  readonly product: string
  readonly left: number
}

/** Where a subject's server can be reached, as its client needs it. */
export interface Address {
  readonly port: number
  /** A second port, where a protocol has one. */
  readonly otherPort?: number
  /** What the registry would know of it besides. */
  readonly meta?: Readonly<Record<string, string>>
}

/** One way to call a function of another process. */
export interface RpcSubject {
  /** Listens; lives until its process ends. */
  serve(): Promise<Address>
  /** Connects; gives back the call. */
  connect(address: Address): Promise<(order: Order) => Promise<Stock>>
}

/** The work of every server: little, so that the way there is what is measured. */
export function reserve({ product, quantity }: Order): Stock {
  return { product, left: 1_000 - quantity }
}

export const ORDER: Order = { product: 'mug', quantity: 3, note: '.'.repeat(100) }
