import { ChannelCredentials, Client, type ClientOptions } from '@grpc/grpc-js'

export interface ChannelsOptions {
  maxResponseBytes: number
  credentials: ChannelCredentials | undefined
}

/** One connection to each address, made when it is first called. */
export interface Channels {
  of(address: string): Client
  /** Lets go of the connections to addresses that are no more. Calls in flight go on. */
  keep(addresses: ReadonlySet<string>): void
  close(): void
}

/** Creates {@link Channels}. */
export function channels(options: ChannelsOptions): Channels {
  const { maxResponseBytes, credentials = ChannelCredentials.createInsecure() } = options
  const clients = new Map<string, Client>()
  const settings: ClientOptions = {
    'grpc.max_receive_message_length': maxResponseBytes,
    'grpc.max_send_message_length': -1,
    // Attempts are the policy's to make, and addresses the registry's to tell.
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    // An instance that comes back is called again soon: who goes on failing is left alone by discovery.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
  }
  return {
    of(address) {
      const known = clients.get(address)
      if (known) return known
      const made = new Client(address, credentials, settings)
      clients.set(address, made)
      return made
    },
    keep(addresses) {
      for (const [address, client] of clients) {
        if (addresses.has(address)) continue
        clients.delete(address)
        client.close()
      }
    },
    close() {
      for (const client of clients.values()) client.close()
      clients.clear()
    },
  }
}
