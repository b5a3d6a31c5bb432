import { importPeer } from '../peers.ts'
import { freePort } from './free-port.ts'
import { type Order, type RpcSubject, reserve, type Stock } from './subject.ts'

type Decorator = (target: object, name?: string, descriptor?: PropertyDescriptor) => void

/** What this benchmark uses of Nest. */
interface Common {
  Module(options: object): Decorator
  Controller(): Decorator
}
interface Core {
  NestFactory: { createMicroservice(module: object, options: object): Promise<{ listen(): Promise<void> }> }
}
interface Microservices {
  Transport: { TCP: number }
  MessagePattern(pattern: string): Decorator
  ClientProxyFactory: { create(options: object): { connect(): Promise<void>; send(pattern: string, data: object): unknown } }
}
interface Rx {
  firstValueFrom(source: unknown): Promise<Stock>
}

/** A whole Nest microservice over TCP; its decorators are called as the functions they are. Nothing is validated. */
export const nest: RpcSubject = {
  async serve() {
    await importPeer('reflect-metadata')
    const { Module, Controller } = await importPeer<Common>('@nestjs/common')
    const { NestFactory } = await importPeer<Core>('@nestjs/core')
    const { Transport, MessagePattern } = await importPeer<Microservices>('@nestjs/microservices')
    class StockController {
      reserve(order: Order): Stock {
        return reserve(order)
      }
    }
    class StockModule {}
    const { prototype } = StockController
    MessagePattern('reserve')(prototype, 'reserve', Object.getOwnPropertyDescriptor(prototype, 'reserve'))
    Controller()(StockController)
    Module({ controllers: [StockController] })(StockModule)
    const port = await freePort()
    const app = await NestFactory.createMicroservice(StockModule, {
      transport: Transport.TCP,
      options: { host: '127.0.0.1', port },
      logger: false,
    })
    await app.listen()
    return { port }
  },
  async connect({ port }) {
    await importPeer('reflect-metadata')
    const { ClientProxyFactory, Transport } = await importPeer<Microservices>('@nestjs/microservices')
    const { firstValueFrom } = await importPeer<Rx>('rxjs')
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host: '127.0.0.1', port } })
    await client.connect()
    return (order) => firstValueFrom(client.send('reserve', order))
  },
}
