import { diagramFlow, diagramMap, explainSaga, type FlowShape } from '@banyan/saga'
import { Command } from 'commander'
import { CliError } from '../errors.ts'
import { flowsIn } from '../flow-module.ts'
import { loadModule } from '../load-module.ts'
import type { Output } from '../program.ts'
import { type SagaShape, sagasIn } from '../saga-module.ts'

const EXAMPLES = `
Examples:
  $ banyan map orders/explore.ts history/flow.ts > map.mmd

A module exports what saga(...).done() or flow(...) gives, or explorable() of @banyan/testing/explore. Thick lines stand where two
meet: at an event of a flow that a saga waits for, and at a step that starts another saga.`

/** `banyan map` */
export function mapCommand(output: Output): Command {
  return new Command('map')
    .description('draw the sagas and the flows that modules export on one map, as Mermaid')
    .argument('<modules...>', 'the modules, as in orders/explore.ts history/flow.ts')
    .addHelpText('after', EXAMPLES)
    .action((files: string[]) => map(output, files))
}

async function map(output: Output, files: readonly string[]): Promise<void> {
  const sagas = new Map<string, SagaShape>()
  const flows = new Map<string, FlowShape>()
  for (const file of files) {
    const module = await loadModule(file)
    const { definitions } = await sagasIn(module)
    const declared = flowsIn(module)
    if (definitions.length === 0 && declared.length === 0) throw nothingIn(file, Object.keys(module))
    // Once each, however many modules export it; two services may have different ones of one name.
    for (const saga of definitions) sagas.set(explainSaga(saga).text, saga)
    for (const flow of declared) flows.set(`${flow.name}/${flow.version} ${diagramFlow(flow)}`, flow)
  }
  output.write(diagramMap({ sagas: [...sagas.values()], flows: [...flows.values()] }))
}

function nothingIn(file: string, names: readonly string[]): CliError {
  const wanted = 'wanted what saga(...).done() or flow(...) gives, or explorable()'
  return new CliError('ERR_USAGE', `"${file}" exports no saga and no flow, but ${names.join(', ') || 'nothing'}; ${wanted}`)
}
