import { type Component, databaseOf, messageOf, type Timer } from '@banyan/core'
import { importStock } from './erp.ts'

/** Reads the ERP at the start and every `everyMs` after; an ERP that is away delays new products, never the service. */
export function erpImport(erpUrl: string, everyMs = 60_000): Component {
  let timer: Timer | undefined
  let running: Promise<void> = Promise.resolve()
  let last = 'not read yet'
  let stopped = false
  return {
    name: 'erp-import',
    async start(context) {
      const database = databaseOf(context, 'erp-import')
      const round = async () => {
        try {
          const { translated, quarantined } = await importStock(database, erpUrl)
          last = `${translated} records translated, ${quarantined} in quarantine`
          context.log.info({ translated, quarantined }, 'read the ERP')
        } catch (error) {
          last = `could not read the ERP: ${messageOf(error)}`
          context.log.warn({ error: messageOf(error) }, 'could not read the ERP; the stock known so far serves on')
        }
        if (!stopped) timer = context.world.after(everyMs, () => (running = round()))
      }
      running = round()
      await running
    },
    async stop() {
      stopped = true
      timer?.cancel()
      await running
    },
    health: async () => ({ healthy: true, detail: last }),
  }
}
