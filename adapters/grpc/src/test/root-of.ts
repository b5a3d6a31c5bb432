import protobuf from 'protobufjs'
import descriptor from 'protobufjs/ext/descriptor/index.js'

/** What a program knows that has nothing but descriptors. */
export function rootOf(files: readonly Uint8Array[]): protobuf.Root {
  const set = descriptor.FileDescriptorSet.create({ file: files.map((bytes) => descriptor.FileDescriptorProto.decode(bytes)) })
  // The extension adds it when it is loaded, and says so in no type.
  return (protobuf.Root as unknown as { fromDescriptor(set: object): protobuf.Root }).fromDescriptor(set)
}
