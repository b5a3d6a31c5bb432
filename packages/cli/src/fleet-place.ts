import { fileURLToPath } from 'node:url'
import type { World } from '@banyan/core'
import { CliError } from './errors.ts'
import type { ListeningMessage, ListenOrder, WorkerAnswer, WorkerQuestion, WorkerReport } from './gateway-worker.ts'
import { GATEWAY_VARIABLE, type GatewayPlan } from './process-plan.ts'
import { type Supervisor, supervisor } from './supervisor.ts'

/** What all processes of a fleet have in common. */
export interface FleetOptions {
  readonly plan: GatewayPlan
  /** How long one may take to finish what is in flight, milliseconds. */
  readonly drainMs: number
  readonly onLine: (name: string, line: string) => void
  readonly world: World
}

/** One process of a fleet. */
export interface FleetProcess {
  readonly name: string
  readonly pid: number | undefined
  readonly state: string
  readonly restarts: number
  /** What it said of itself; `undefined`: it does not answer. */
  readonly report: WorkerReport | undefined
}

/** A listening socket, and the process that sits at it. */
export interface FleetPlace {
  /** Starts the first process. @param wanted the port; left out: the plan's. @throws {CliError} `ERR_PROCESS_FAILED` */
  open(wanted: number | undefined): Promise<ListeningMessage>
  /** Gives the place to another process, and ends the one before. @throws {CliError} `ERR_PROCESS_FAILED`; then nothing changes */
  replace(): Promise<void>
  ask(what: WorkerQuestion['ask']): Promise<WorkerReport | undefined>
  describe(): Promise<FleetProcess>
  kill(signal: NodeJS.Signals): Promise<void>
  close(): Promise<void>
}

/** How long a process may take to answer this one, milliseconds. */
const ANSWER_MS = 10_000

/** Creates a {@link FleetPlace}. */
export function fleetPlace(index: number, options: FleetOptions): FleetPlace {
  const { plan, onLine, drainMs, world } = options
  /** Kept here; sent to each process that sits in this place. */
  let socket: (object & { close?(): void }) | undefined
  let port = plan.port
  let listening: ListeningMessage | undefined
  let current = seat(0)

  /** A process for this place. */
  function seat(generation: number): Seat {
    const questions = newQuestions(world)
    const name = `gateway ${index}`
    const process = supervisor({
      name,
      args: [workerMain],
      env: { ...globalThis.process.env, [GATEWAY_VARIABLE]: JSON.stringify(plan) },
      world,
      onLine,
      // Draining is its own business; only what hangs is killed.
      stopMs: drainMs + 3_000,
      greeting: () => ({ message: { listen: { port } } satisfies ListenOrder, socket }),
      onMessage(message, sent) {
        if (isListening(message)) {
          listening = message
          // Only the first process of a place opens one.
          if (sent) socket = sent as object
        } else questions.answer(message as WorkerAnswer)
      },
    })
    return { process, questions, generation }
  }

  return {
    async open(wanted: number | undefined): Promise<ListeningMessage> {
      port = wanted ?? port
      await current.process.start()
      if (!listening) throw new CliError('ERR_PROCESS_FAILED', `process "${current.process.name}" did not say where it listens`)
      port = listening.port
      return listening
    },
    async replace(): Promise<void> {
      const [old, next] = [current, seat(current.generation + 1)]
      try {
        await next.process.start()
      } catch (error) {
        await next.process.stop()
        throw error
      }
      current = next
      await old.process.stop()
    },
    ask: (what: WorkerQuestion['ask']) => current.questions.ask(what, current.process),
    async describe(): Promise<FleetProcess> {
      const { process, questions, generation } = current
      const { name, pid, state, restarts } = process
      const report = await questions.ask('report', process).catch(() => undefined)
      return { name, pid, state, restarts: restarts + generation, report }
    },
    kill: (signal: NodeJS.Signals) => current.process.kill(signal),
    async close(): Promise<void> {
      await current.process.stop()
      socket?.close?.()
      socket = undefined
    },
  }
}

interface Seat {
  readonly process: Supervisor
  readonly questions: Questions
  /** How often the place was given to another process on purpose. */
  readonly generation: number
}

interface Questions {
  ask(what: WorkerQuestion['ask'], process: Supervisor): Promise<WorkerReport | undefined>
  answer(message: WorkerAnswer): void
}

/** Questions to one process, and who waits for the answers. */
function newQuestions(world: World): Questions {
  const waiting = new Map<number, { resolve(report: WorkerReport | undefined): void; reject(error: Error): void }>()
  let last = 0
  return {
    ask(what, process) {
      if (process.state !== 'ready')
        return Promise.reject(new CliError('ERR_RELOAD_REFUSED', `process "${process.name}" is ${process.state}`))
      last += 1
      const id = last
      return new Promise((resolve, reject) => {
        const timer = world.after(ANSWER_MS, () =>
          settle(() => reject(new CliError('ERR_RELOAD_REFUSED', `process "${process.name}" does not answer`))),
        )
        const settle = (end: () => void) => {
          timer.cancel()
          waiting.delete(id)
          end()
        }
        waiting.set(id, { resolve: (report) => settle(() => resolve(report)), reject: (error) => settle(() => reject(error)) })
        process.tell({ ask: what, id } satisfies WorkerQuestion)
      })
    },
    answer(message) {
      const asked = waiting.get(message.id)
      if (!asked) return
      if ('refused' in message) asked.reject(new CliError('ERR_RELOAD_REFUSED', message.refused))
      else asked.resolve(message.report)
    },
  }
}

function isListening(message: unknown): message is ListeningMessage {
  return typeof message === 'object' && message !== null && 'ready' in message && 'port' in message
}

/** This file is TypeScript in the workspace and JavaScript when published; its neighbour is of the same kind. */
const workerMain = fileURLToPath(new URL(`./gateway-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))
