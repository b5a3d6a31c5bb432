import { type Api, isServedOver, type Operation } from '@banyan/core'
import { type Field, queryShapeOf, shapeOf } from '@banyan/service/internal'
import { contractError } from './errors.ts'
import type { LockedMessage, ProtoLock } from './proto-lock.ts'
import { type MessageMaker, messageMaker } from './proto-messages.ts'
import type { ProtoFile, ProtoMethod } from './proto-model.ts'
import { pascalName, snakeName } from './proto-names.ts'

/**
 * Makes a {@link ProtoFile} of a contract: its operations that have gRPC. Numbers are those of `lock`, as far as it has them; a new field
 * gets the next one, and so does a field whose type has changed, as its old bytes cannot be read.
 *
 * @throws {GrpcError} `ERR_GRPC_CONTRACT` for a contract without gRPC, or names that fall together
 */
export function protoFile(api: Api, lock: ProtoLock = new Map()): ProtoFile {
  const operations = Object.entries(api.operations).filter(([, operation]) => isServedOver(operation, 'grpc'))
  if (operations.length === 0) throw contractError(api.name, `no operation of it has "grpc" among its protocols`)
  const snake = snakeName(api.name)
  const file = { name: `${snake}/v${api.version}/${snake}.proto`, package: `${snake}.v${api.version}`, service: pascalName(api.name), api }
  const messages = messageMaker(api.name)
  // Answers first: where what comes in differs from what goes out, the latter has the plain name.
  const responses = operations.map(([name, operation]) => {
    const method = pascalName(name)
    return responseOf(messages, method, operation, lock.get(method)?.response)
  })
  const outputs = new Set(messages.made)
  const methods = operations.map(([name, operation], index): ProtoMethod => {
    const method = pascalName(name)
    const request = messages.make(`${method}Request`, `What ${method} takes.`, requestFields(operation), lock.get(method)?.request, outputs)
    return {
      ...{ name: method, path: `/${file.package}.${file.service}/${method}`, operationName: `${api.name}.${name}`, operation },
      ...{ request, ...(responses[index] as Answer) },
    }
  })
  const taken = methods.find(({ name }, index) => methods.findIndex((other) => other.name === name) !== index)
  if (taken) throw contractError(api.name, `two operations become the method "${taken.name}"`)
  return { ...file, methods, messages: messages.made }
}

/** Path parameters by their names, then the query and the body as messages of their own: so nothing of one can meet the other. */
function requestFields({ path, query, body }: Operation): Field[] {
  const params = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']): Field => ({ ...field(name), shape: { kind: 'text' } }))
  const parts = [query && { ...field('query'), ...queryShapeOf(query) }, body && { ...field('body'), ...shapeOf(body, 'input') }]
  return [...params, ...parts.filter((part) => part !== undefined)]
}

function field(name: string): Omit<Field, 'shape'> {
  return { name, required: true, nullable: false, description: undefined }
}

type Answer = Pick<ProtoMethod, 'response' | 'answer'>

function responseOf(messages: MessageMaker, method: string, { response }: Operation, locked: LockedMessage | undefined): Answer {
  const name = `${method}Response`
  if (!response) return { response: messages.make(name, `${method} answers nothing but that it is done.`, [], locked), answer: 'none' }
  const slot = shapeOf(response, 'output')
  if (slot.shape.kind === 'object' && !slot.nullable) {
    return { response: messages.ofShape(slot.shape, name, locked), answer: 'itself' }
  }
  const only = { ...field(slot.shape.kind === 'list' ? 'items' : 'value'), ...slot }
  return { response: messages.make(name, `What ${method} answers.`, [only], locked), answer: 'in-field' }
}
