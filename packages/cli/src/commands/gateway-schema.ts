import { configJsonSchema } from '@banyan/gateway'
import { Command } from 'commander'
import type { Output } from '../program.ts'

/** `banyan gateway schema`: the JSON Schema of a gateway file. */
export function schemaCommand(output: Output): Command {
  return new Command('schema')
    .description('print the JSON Schema of a gateway file, for editors')
    .action(() => output.write(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`))
}
