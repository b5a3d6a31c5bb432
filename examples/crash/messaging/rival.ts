import { roleOf, runComponent, runRole, watched } from '../role.ts'
import { keepBook, watchedDelivery } from './booking.ts'
import { shopRelay, watchedPublish } from './relaying.ts'

// A second relay and a second consumer: whatever the others hold when they die or sleep, this one takes over.

const role = roleOf()
const bus = await role.bus()
await runComponent(shopRelay(), { service: 'shop', database: watched(await role.database('shop')), bus: watchedPublish(bus) })
await runRole(keepBook(role.broken), { database: watched(await role.database('book')), bus: watchedDelivery(bus) })
