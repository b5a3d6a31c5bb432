import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'

const program = (stop: string) => `
  import { runUntilSignal } from ${JSON.stringify(new URL('./signals.ts', import.meta.url).href)}
  const part = (name) => ({ stop: ${stop} })
  const alive = setInterval(() => {}, 1_000)
  const signalled = runUntilSignal([part('database'), part('orders')]).catch((error) => error.message)
  console.log('ready')
  const signal = await signalled
  console.log('done by ' + signal)
  clearInterval(alive)
`

async function run(stop: string, signals: NodeJS.Signals[]) {
  const child = spawn(process.execPath, ['--conditions=@banyan/source', '--input-type=module', '-e', program(stop)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
    const sent = output.split('\n').length - 2
    const signal = signals[sent]
    if (signal && sent < signals.length) child.kill(signal)
  })
  const [code, signal] = await once(child, 'exit')
  return { lines: output.trim().split('\n'), code, signal }
}

test('a signal stops everything in reverse order, then the program goes on to its end', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    expect(await run(`async () => console.log('stop ' + name)`, [signal])).toEqual({
      lines: ['ready', 'stop orders', 'stop database', `done by ${signal}`],
      code: 0,
      signal: null,
    })
  }
})

test('a stop that fails does not keep the others from stopping', async () => {
  const { lines } = await run(`async () => { console.log('stop ' + name); if (name === 'orders') throw new Error('no') }`, ['SIGTERM'])
  expect(lines).toEqual(['ready', 'stop orders', 'stop database', 'done by 1 of 2 stops failed'])
})

test('a second signal ends the program at once', async () => {
  const hang = `() => { console.log('stop ' + name); setTimeout(() => console.log('still stopping'), 400); return new Promise(() => {}) }`
  // The second one is sent at the second line, after more than the time in which it would count as the first one's echo.
  const { lines, signal } = await run(`(${hang})`, ['SIGTERM', 'SIGCONT', 'SIGTERM'])
  expect(lines).toEqual(['ready', 'stop orders', 'still stopping'])
  expect(signal).toBe('SIGTERM')
})

test('the echo of a signal, as npm sends it, changes nothing', async () => {
  const stop = `async () => { process.kill(process.pid, 'SIGINT'); console.log('stop ' + name) }`
  expect(await run(stop, ['SIGINT'])).toEqual({ lines: ['ready', 'stop orders', 'stop database', 'done by SIGINT'], code: 0, signal: null })
})
