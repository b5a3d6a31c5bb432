/** Browsers and edge runtimes: the room runs where nothing of Node is. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build } from 'vite'
import { expect, test } from 'vitest'
import { channel, ownChannel } from './channel.ts'

const folder = import.meta.dirname

test('no source imports anything of Node', () => {
  const sources = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  expect(sources.length).toBeGreaterThan(30)
  const naming = sources.filter((name) => readFileSync(join(folder, name), 'utf8').match(/['"]node:/))
  // That file asks the runtime for the module by its name, and does not import it.
  expect(naming).toEqual(['channel.ts'])
  for (const name of sources) expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(/\b(from|import|require)\s*\(?\s*['"]node:/)
})

/** The room with all it imports as one script for a browser; a module of Node's in it would be an error. */
async function bundled(): Promise<string> {
  const result = await build({
    root: folder,
    configFile: false,
    logLevel: 'silent',
    resolve: { conditions: ['@banyan/source', 'browser'] },
    build: {
      write: false,
      minify: false,
      lib: { entry: join(folder, 'index.ts'), formats: ['iife'], name: 'resilience', fileName: 'resilience' },
      rollupOptions: { external: [] },
    },
  })
  const [first] = Array.isArray(result) ? result : [result]
  if (!first || !('output' in first)) throw new Error('nothing was built')
  return first.output[0].code
}

test('bundled for browsers it runs with the globals of the web alone', async () => {
  const code = await bundled()
  // What a bundler puts in place of a module that browsers do not have.
  expect(code).not.toMatch(/browser-external|__require/)
  const globals = { AbortController, performance, setTimeout, clearTimeout, queueMicrotask, crypto, results: [] as unknown[] }
  const context = createContext(globals)
  expect(runInContext('typeof process + typeof require', context)).toBe('undefinedundefined')
  runInContext(code, context)
  const script = `(async () => {
    const { policy, retry, circuitBreaker, timeout, bulkhead, exponential, onResilienceEvent } = resilience
    const stop = onResilienceEvent('retry', ({ failedAttempt }) => results.push('retry ' + failedAttempt))
    const backoff = exponential({ baseMs: 1, capMs: 1 })
    const stock = policy('stock', timeout(5000), retry({ backoff }), circuitBreaker(), bulkhead({ limit: 2 }), timeout(1000))
    results.push(await stock.run(({ attempt, signal }) => {
      if (attempt === 1) throw new Error('down')
      return signal.aborted
    }))
    stop()
    results.push(await stock.outcome(() => 7))
  })()`
  await runInContext(script, context)
  expect(JSON.parse(JSON.stringify(globals.results))).toEqual(['retry 1', false, { ok: true, value: 7, attempts: 1 }])
})

test('a channel of our own behaves as one of the runtime: heard while listened to, and a listener that throws harms no one', async () => {
  const uncaught: unknown[] = []
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => uncaught.push(error))
  try {
    for (const one of [ownChannel(), channel('banyan:resilience:test')]) {
      const heard: unknown[] = []
      const broken = () => {
        throw new Error('broken')
      }
      const listener = (message: unknown) => heard.push(message)
      expect(one.hasSubscribers).toBe(false)
      one.publish('nobody')
      one.subscribe(broken)
      one.subscribe(listener)
      expect(one.hasSubscribers).toBe(true)
      one.publish('all')
      one.unsubscribe(broken)
      one.unsubscribe(listener)
      expect(one.hasSubscribers).toBe(false)
      one.publish('nobody')
      expect(heard).toEqual(['all'])
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(uncaught).toEqual([new Error('broken'), new Error('broken')])
  } finally {
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
  }
})
