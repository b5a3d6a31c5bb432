// A legacy stock system, outside the system: odd names, and now and then a record that makes no sense.
import { jsonServer } from './json-server.ts'

const PLENTY = 1_000_000

const items: Record<string, unknown>[] = [
  { ITEMNUMBER: 'fig-tree', QTY_ON_HAND: PLENTY, REORDER_PT: 10 },
  { ITEMNUMBER: 'watering-can', QTY_ON_HAND: PLENTY, REORDER_PT: 25 },
  { ITEMNUMBER: 'secateurs', QTY_ON_HAND: PLENTY, REORDER_PT: 25 },
  { ITEMNUMBER: 'seed-mix', QTY_ON_HAND: PLENTY, REORDER_PT: 500 },
  { ITEMNUMBER: 'unlucky-clover', QTY_ON_HAND: PLENTY, REORDER_PT: 0 },
  { ITEMNUMBER: 'blue-rose', QTY_ON_HAND: 0, REORDER_PT: 1 },
  { ITEMNUMBER: 'bonsai', QTY_ON_HAND: 40, REORDER_PT: 2 },
  { ITEMNUMBER: 'ghost-orchid', QTY_ON_HAND: -3, REORDER_PT: 1 },
  { ITEMNUMBER: 'hose', QTY_ON_HAND: '17', REORDER_PT: 5 },
  { ITMNO: 'compost', QTY_ON_HAND: 80, REORDER_PT: 20 },
]

jsonServer('erp', async ({ method, path }) => {
  if (method === 'GET' && path === '/items') return { status: 200, body: items }
  const item = items.find(({ ITEMNUMBER }) => path === `/items/${ITEMNUMBER}`)
  return item ? { status: 200, body: item } : { status: 404, body: { ERR_CD: 'E404', ERR_TXT: 'NO SUCH ITEM' } }
})
