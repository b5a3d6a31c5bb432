import type { HealthReport } from './health.ts'
import type { HttpApp } from './http-server.ts'

/** The routes that every service has: whether it lives, whether it can work, how it is doing. */
export function ownRoutes(app: HttpApp, health: () => Promise<HealthReport>, metrics: (() => Promise<string>) | undefined): void {
  app.get('/health/live', (context) => context.json({ status: 'alive' }))
  app.get('/health/ready', async (context) => {
    const report = await health()
    return context.json(report, report.status === 'ready' ? 200 : 503)
  })
  if (!metrics) return
  app.get('/metrics', async (context) => {
    return context.body(await metrics(), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  })
}
