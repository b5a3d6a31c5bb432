import type { Api, Operation } from '@banyan/core'

/** A contract as a .proto: what its text, its descriptors and its wire format are made from. */
export interface ProtoFile {
  /** `catalog/v1/catalog.proto`. */
  readonly name: string
  /** `catalog.v1`. */
  readonly package: string
  /** `Catalog`. */
  readonly service: string
  readonly api: Api
  readonly methods: readonly ProtoMethod[]
  /** In the order they are reached. */
  readonly messages: readonly ProtoMessage[]
}

export interface ProtoMethod {
  /** `GetProduct`. */
  readonly name: string
  /** `/catalog.v1.Catalog/GetProduct`. */
  readonly path: string
  /** `catalog.getProduct`. */
  readonly operationName: string
  readonly operation: Operation
  readonly request: ProtoMessage
  readonly response: ProtoMessage
  /** How a response's message carries the answer: as itself, in its one field, or not at all. */
  readonly answer: 'itself' | 'in-field' | 'none'
}

export interface ProtoMessage {
  readonly name: string
  readonly comment: string | undefined
  readonly fields: readonly ProtoField[]
  /** Numbers of fields that are no more: never given out again. */
  readonly reserved: readonly number[]
  /** JSON with a name that is no field's is refused. */
  readonly closed: boolean
}

export interface ProtoField {
  readonly name: string
  /** The name in JSON, and so in the contract. */
  readonly jsonName: string
  readonly number: number
  readonly type: ProtoType
  readonly label: 'single' | 'list' | 'map'
  readonly required: boolean
  /** A field that is not there is null, where it is required. */
  readonly nullable: boolean
  readonly comment: string | undefined
}

export type ProtoType = { readonly kind: ScalarKind } | { readonly kind: 'message'; readonly message: ProtoMessage }

/** `value` and `struct`: any JSON, by protobuf's own types. */
export type ScalarKind = 'string' | 'int64' | 'double' | 'bool' | 'value' | 'struct'

/** `catalog.v1.Catalog`. */
export function serviceNameOf(file: ProtoFile): string {
  return `${file.package}.${file.service}`
}
