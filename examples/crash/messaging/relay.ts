import { roleOf, runRole, watched } from '../role.ts'
import { shopRelay, watchedPublish } from './relaying.ts'

// A process of its own for the relay of the shop's database.

const role = roleOf()
await runRole(shopRelay(), { database: watched(await role.database('shop')), bus: watchedPublish(await role.bus()) })
