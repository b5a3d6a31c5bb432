/** What a process of a system is told by the one that starts it; travels as JSON in the variable {@link PLAN_VARIABLE}. */
export interface ProcessPlan {
  readonly name: string
  /** From each service's name to its module's URL. */
  readonly services: Readonly<Record<string, string>>
  readonly gateway: { readonly file: string; readonly port: number } | undefined
  readonly dataDir: string
  readonly registryUrl: string
  readonly collectorUrl: string
}

export const PLAN_VARIABLE = 'BANYAN_PROCESS'

/** What the registry of a system is told; travels as JSON in the variable {@link REGISTRY_VARIABLE}. */
export interface RegistryPlan {
  readonly port: number
  readonly stateFile: string
}

export const REGISTRY_VARIABLE = 'BANYAN_REGISTRY'

/** What a process of a gateway is told; travels as JSON in the variable {@link GATEWAY_VARIABLE}. */
export interface GatewayPlan {
  readonly file: string
  readonly registryUrl: string | undefined
  /** In place of the file's. */
  readonly port: number | undefined
}

export const GATEWAY_VARIABLE = 'BANYAN_GATEWAY'

/** What a process tells the one that started it. */
export type ProcessMessage = { readonly ready: true } | { readonly failed: string }

/** Reads a message of a child process; `undefined` for anything else it may say. */
export function readMessage(message: unknown): ProcessMessage | undefined {
  if (typeof message !== 'object' || message === null) return undefined
  if ('failed' in message && typeof message.failed === 'string') return { failed: message.failed }
  return 'ready' in message && message.ready === true ? { ready: true } : undefined
}
