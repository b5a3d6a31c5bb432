// Runs a program of this repository from its sources: node scripts/banyan.mjs <file> [arguments]. npm puts the project's own
// Node first in PATH, so that is the one that runs it.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

// Stripped and compiled sources are kept between runs: a process of the shop starts in half the time.
const cache = fileURLToPath(new URL('../node_modules/.cache/banyan', import.meta.url))
const child = spawn('node', ['--conditions=@banyan/source', '--disable-warning=ExperimentalWarning', ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { NODE_COMPILE_CACHE: cache, ...process.env },
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)))
