import type { Server } from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { healthDescriptors } from './health.ts'
import { reflected } from './proto-descriptor.ts'
import type { ProtoFile } from './proto-model.ts'

/**
 * Adds the reflection service, v1 and v1alpha, which tells tools such as grpcurl what there is to call.
 *
 * @see https://grpc.io/docs/guides/reflection/
 */
export function addReflection(server: Server, files: readonly ProtoFile[]): void {
  const contracts = files.map(reflected)
  const entries = [...contracts, { name: 'grpc.health.v1.Health', files: healthDescriptors() }].map(({ name, files: descriptors }) => {
    return [
      name,
      { format: 'Protocol Buffer 3 DescriptorProto', type: {}, fileDescriptorProtos: descriptors.map((each) => Buffer.from(each)) },
    ] as const
  })
  // Its type is that of a loaded .proto, of which it reads nothing but the descriptors.
  new ReflectionService(Object.fromEntries(entries) as unknown as ConstructorParameters<typeof ReflectionService>[0]).addToServer(server)
}
