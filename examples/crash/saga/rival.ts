import { roleOf, runRole, watched } from '../role.ts'
import { orderWorker, rivalName, watchAdvances } from './workers.ts'

// A second worker for the same sagas, at half of the seeds under the same name: whatever the other one holds when it dies or
// sleeps, this one takes over.

const role = roleOf()
const database = await role.database('orders')
watchAdvances(database, role.broken === 'fence')
await runRole(orderWorker(role.folder, rivalName(role.seed)), { service: 'orders', database: watched(database) })
