import type { Api, Logger, Migration, World } from '@banyan/core'
import type { Client, ClientOptions } from './client.ts'
import type { Service } from './service.ts'

/** What a service asks of its host beyond its name. */
export interface HostedServiceOptions {
  /** The service's own tables. */
  migrations?: readonly Migration[]
  /** `false`: it keeps nothing, so it gets no database. Default: one of its own. */
  database?: false
}

/**
 * What runs a service: `banyan dev`, a test, or a main file of your own. It chooses the database, the bus, the registry and
 * the transport, so that the service's code is the same in one process and in many.
 *
 * A service's module exports `(host: Host) => Service` as its default.
 */
export interface Host {
  /** Creates a service with what this host gives each. The host starts and stops it. */
  service(name: string, options?: HostedServiceOptions): Service
  /** A client of another service's contract, over this host's transport. */
  client<A extends Api>(api: A, options?: Omit<ClientOptions, 'transport' | 'world'>): Client<A>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Logger
  readonly world: World
  /** The folder for databases and other files. */
  readonly dataDir: string
}

/** The default export of a service's module. */
export type ServiceModule = (host: Host) => Service | Promise<Service>
