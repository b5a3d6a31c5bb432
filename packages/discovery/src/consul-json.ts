/** The shapes of Consul's HTTP API as far as Banyan speaks it, with Consul's own field names. */

/** A check's state. Only `passing` instances get calls. */
export type CheckStatus = 'passing' | 'warning' | 'critical'

/** A service's part of an answer. */
export interface ServiceJson {
  ID: string
  Service: string
  Tags: readonly string[]
  Meta: Readonly<Record<string, string>>
  Address: string
  TaggedAddresses: Readonly<Record<string, { readonly Address: string; readonly Port: number }>>
  Port: number
  Weights: { Passing: number; Warning: number }
  EnableTagOverride: boolean
  CreateIndex: number
  ModifyIndex: number
}

/** A check's part of an answer. */
export interface CheckJson {
  Node: string
  CheckID: string
  Name: string
  Status: CheckStatus
  Notes: string
  Output: string
  ServiceID: string
  ServiceName: string
  ServiceTags: readonly string[]
  Type: string
  CreateIndex: number
  ModifyIndex: number
}

/** The registry itself, as the one node all its services are on. */
export interface NodeJson {
  ID: string
  Node: string
  Address: string
  Datacenter: string
  TaggedAddresses: Readonly<Record<string, string>>
  Meta: Readonly<Record<string, string>>
  CreateIndex: number
  ModifyIndex: number
}

/** One row of `GET /v1/health/service/:name`. */
export interface HealthRowJson {
  Node: NodeJson
  Service: ServiceJson
  Checks: readonly CheckJson[]
}

/** The id prefix of the check that maintenance adds; it is critical on purpose. */
export const maintenancePrefix = '_service_maintenance:'

/** The id of the check that maintenance of a node adds to all services on it. */
export const nodeMaintenanceId = '_node_maintenance'
