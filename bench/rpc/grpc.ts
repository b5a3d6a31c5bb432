import { join } from 'node:path'
import { importPeer } from '../peers.ts'
import { type Order, type RpcSubject, reserve, type Stock } from './subject.ts'

type Answer = (error: Error | null, stock: Stock) => void

/** What this benchmark uses of `@grpc/grpc-js`. */
interface Grpc {
  Server: new () => {
    addService(definition: object, handlers: object): void
    bindAsync(address: string, credentials: object, done: (error: Error | null, port: number) => void): void
  }
  ServerCredentials: { createInsecure(): object }
  credentials: { createInsecure(): object }
  loadPackageDefinition(definition: object): { bench: { Stock: StockClient } }
}
interface StockClient {
  new (address: string, credentials: object): { Reserve(order: Order, options: object, answer: Answer): void }
  readonly service: object
}
interface Loader {
  loadSync(file: string): object
}

/** With a deadline for each call, as its guide asks for. */
export const grpc: RpcSubject = {
  async serve() {
    const { Server, ServerCredentials, stock } = await load()
    const server = new Server()
    server.addService(stock.service, {
      Reserve: ({ request }: { request: Order }, answer: Answer) => answer(null, reserve(request)),
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)))
    })
    return { port }
  },
  async connect({ port }) {
    const { credentials, stock: Stock } = await load()
    const client = new Stock(`127.0.0.1:${port}`, credentials.createInsecure())
    return (order) =>
      new Promise((resolve, reject) => {
        client.Reserve(order, { deadline: Date.now() + 5_000 }, (error, stock) => (error ? reject(error) : resolve(stock)))
      })
  },
}

async function load() {
  const grpcModule = await importPeer<{ default: Grpc }>('@grpc/grpc-js').then((it) => it.default)
  const { loadSync } = await importPeer<{ default: Loader }>('@grpc/proto-loader').then((it) => it.default)
  const { bench } = grpcModule.loadPackageDefinition(loadSync(join(import.meta.dirname, 'stock.proto')))
  return { ...grpcModule, stock: bench.Stock }
}
