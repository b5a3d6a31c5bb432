import { importPeer } from '../peers.ts'
import { freePort } from './free-port.ts'
import { type Order, type RpcSubject, reserve, type Stock } from './subject.ts'

/** What this benchmark uses of `moleculer`. */
interface Moleculer {
  ServiceBroker: new (
    options: object,
  ) => {
    createService(schema: object): void
    start(): Promise<void>
    waitForServices(name: string, timeoutMs: number): Promise<void>
    call(action: string, params: object): Promise<Stock>
  }
}

/** The TCP transporter with fixed addresses and its own validator on, as it is by default. */
export const moleculer: RpcSubject = {
  async serve() {
    const [port, otherPort] = [await freePort(), await freePort()]
    const { ServiceBroker } = await importPeer<{ default: Moleculer }>('moleculer').then((it) => it.default)
    const broker = new ServiceBroker(optionsOf('server', port, otherPort))
    broker.createService({
      name: 'stock',
      actions: {
        reserve: {
          params: { product: 'string|min:1', quantity: 'number|integer|min:1|max:1000', note: 'string', $$strict: true },
          handler: ({ params }: { params: Order }) => reserve(params),
        },
      },
    })
    await broker.start()
    return { port, otherPort }
  },
  async connect({ port, otherPort = 0 }) {
    const { ServiceBroker } = await importPeer<{ default: Moleculer }>('moleculer').then((it) => it.default)
    const broker = new ServiceBroker(optionsOf('client', port, otherPort))
    await broker.start()
    await broker.waitForServices('stock', 20_000)
    return (order) => broker.call('stock.reserve', order)
  },
}

function optionsOf(nodeID: string, serverPort: number, clientPort: number): object {
  const urls = [`127.0.0.1:${serverPort}/server`, `127.0.0.1:${clientPort}/client`]
  return {
    nodeID,
    logger: false,
    transporter: { type: 'TCP', options: { udpDiscovery: false, urls, port: nodeID === 'server' ? serverPort : clientPort } },
  }
}
