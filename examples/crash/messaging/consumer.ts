import { roleOf, runRole, watched } from '../role.ts'
import { keepBook, watchedDelivery } from './booking.ts'

// The service that keeps the book.

const role = roleOf()
await runRole(keepBook(role.broken), { database: watched(await role.database('book')), bus: watchedDelivery(await role.bus()) })
