// A registry in a process of its own, to be killed: node registry-child.ts <state file>
import { registryServer } from '../registry-server.ts'

const [stateFile = ''] = process.argv.slice(2)
const say = (_fields: object, message: string) => console.error(message)
const log = { debug() {}, info() {}, warn: say, error: say }
const server = registryServer({ port: 0, stateFile, log })
process.once('disconnect', () => process.exit(0))
process.send?.(await server.start())
