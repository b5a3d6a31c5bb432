/** Where instances of services say that they are there, and where others find them. */
export interface Registry {
  /** Makes an instance known and keeps it alive until `deregister`. */
  register(instance: Instance): Promise<Registration>
  /**
   * Calls `onChange` with the healthy instances of `service`: once soon, then at each change. While the registry is away the
   * last snapshot is repeated with `stale` true. Never throws; it reconnects by itself.
   */
  watch(service: string, onChange: (snapshot: Snapshot) => void): Watch
}

export interface Instance {
  /** Unique among all instances of all services. */
  readonly id: string
  readonly service: string
  /** A host name or an IP address. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
  readonly tags?: readonly string[]
  readonly meta?: Readonly<Record<string, string>>
  /** Share of the traffic beside its siblings, 1 to 65535. Default 1. */
  readonly weight?: number
  readonly zone?: string
}

export interface Registration {
  /** Takes the instance out; watchers hear of it. Safe to call twice. */
  deregister(): Promise<void>
}

export interface Snapshot {
  readonly instances: readonly Instance[]
  /** Grows with each change. 0: nothing heard yet. */
  readonly revision: number
  /** The registry could not be asked; these are the last known instances. */
  readonly stale: boolean
}

export interface Watch {
  stop(): void
}
