import { ChannelCredentials, Client, type ClientOptions } from '@grpc/grpc-js'

export interface ChannelsOptions {
  maxResponseBytes: number
  credentials: ChannelCredentials | undefined
}

/** One connection to each address, made when it is first called. */
export interface Channels {
  /** The connection to an address, for one call; `done` must be called when that ended. */
  use(address: string): { readonly client: Client; done(): void }
  /** Lets go of the connections to addresses that are no more: of each when the calls on it have ended. */
  keep(addresses: ReadonlySet<string>): void
  /** Closes all at once. */
  close(): void
}

interface Channel {
  readonly client: Client
  calls: number
  retired: boolean
}

/** Creates {@link Channels}. */
export function channels(options: ChannelsOptions): Channels {
  const { maxResponseBytes, credentials = ChannelCredentials.createInsecure() } = options
  const open = new Map<string, Channel>()
  const retiring = new Set<Channel>()
  const settings: ClientOptions = {
    'grpc.max_receive_message_length': maxResponseBytes,
    'grpc.max_send_message_length': -1,
    // Attempts are the policy's to make, and addresses the registry's to tell.
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    // Instances are inside; a proxy of the environment is for what is outside.
    'grpc.enable_http_proxy': 0,
    // An instance that comes back is called again soon: who goes on failing is left alone by discovery.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1_000,
  }

  function channelTo(address: string): Channel {
    const known = open.get(address)
    if (known) return known
    const made = { client: new Client(address, credentials, settings), calls: 0, retired: false }
    open.set(address, made)
    return made
  }

  /** A closed channel fails the calls that have not got their connection yet. */
  function endIfIdle(channel: Channel): void {
    if (!channel.retired || channel.calls > 0) return
    retiring.delete(channel)
    channel.client.close()
  }

  return {
    use(address) {
      const channel = channelTo(address)
      channel.calls += 1
      return {
        client: channel.client,
        done() {
          channel.calls -= 1
          endIfIdle(channel)
        },
      }
    },
    keep(addresses) {
      for (const [address, channel] of open) {
        if (addresses.has(address)) continue
        open.delete(address)
        channel.retired = true
        retiring.add(channel)
        endIfIdle(channel)
      }
    },
    close() {
      for (const { client } of [...open.values(), ...retiring]) client.close()
      open.clear()
      retiring.clear()
    },
  }
}
