#!/usr/bin/env node
// The `banyan` command.
import { runProgram } from './program.ts'

// `banyan ... | head`: the reader has had enough, which is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const status = await runProgram(process.argv.slice(2), {
  write: (text) => void process.stdout.write(text),
  writeError: (text) => void process.stderr.write(text),
})
// A module of the user's that was read may hold a server or a pool of connections, which nobody here can close.
process.stderr.write('', () => process.stdout.write('', () => process.exit(status)))
