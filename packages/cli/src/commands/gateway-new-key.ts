import { createHash, randomBytes } from 'node:crypto'
import { Command } from 'commander'
import type { Output } from '../program.ts'

/** `banyan gateway new-key`: makes an API key for the plugin `key-auth`. */
export function newKeyCommand(output: Output): Command {
  return new Command('new-key')
    .description('make an API key: the key for its owner, and the line for the gateway file, which has its hash alone')
    .argument('<name>', 'whose key it is')
    .action((name: string) => {
      const key = randomBytes(32).toString('base64url')
      const hash = createHash('sha256').update(key).digest('hex')
      output.write(`key, shown this once: ${key}\nkeys: [{ name: ${JSON.stringify(name)}, hash: "sha256:${hash}" }]\n`)
    })
}
