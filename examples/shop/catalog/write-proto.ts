// Writes catalog.proto anew after a change of the contract: node --conditions=@banyan/source examples/shop/catalog/write-proto.ts
import { fileURLToPath } from 'node:url'
import { writeProto } from '@banyan/grpc'
import { catalogApi, catalogProto } from './contract.ts'

const changed = writeProto({ api: catalogApi, proto: catalogProto })
console.log(`${fileURLToPath(catalogProto)} ${changed ? 'is written anew' : 'says what the contract says'}`)
