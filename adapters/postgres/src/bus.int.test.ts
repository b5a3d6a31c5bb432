import { busSuite } from '@banyan/testing'
import { busModule, createBusSite } from './test/bus-site.ts'

busSuite('The PostgreSQL bus', { create: createBusSite, module: busModule }, { ordering: 'key', redelivery: true, replay: true })
