import { request } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import type { Refusal } from '@banyan/core'
import { crashPoint } from '@banyan/testing/crash'

/** What one service asks of another. */
export interface Asked {
  readonly service: string
  readonly step: string
  readonly kind: 'do' | 'undo'
  /** The same in all attempts, and in `do` and `undo`. */
  readonly key: string
  readonly saga: string
  readonly orderId: string
}

/** Where a participant listens: HTTP, over a socket in the trial's folder. */
export function socketOf(folder: string, service: string): string {
  return join(folder, `${service}.sock`)
}

/** Calls a participant. Rejects when it does not answer, or not with 200: nobody knows then what it did. */
export async function call(folder: string, asked: Asked, signal: AbortSignal): Promise<{ readonly done: string } | Refusal> {
  crashPoint('before-call')
  const answer = await post(socketOf(folder, asked.service), asked, signal)
  crashPoint('after-call')
  return answer
}

function post(socketPath: string, asked: Asked, signal: AbortSignal): Promise<{ readonly done: string } | Refusal> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly done: string } | Refusal>()
  const sending = request({ socketPath, method: 'POST', path: `/${asked.step}`, signal }, (response) => {
    // A participant of this example answers in no other shape.
    json(response).then((value) => {
      if (response.statusCode === 200) resolve(value as { readonly done: string } | Refusal)
      else reject(new Error(`${asked.service} answered ${response.statusCode}`))
    }, reject)
  })
  sending.on('error', reject)
  sending.end(JSON.stringify(asked))
  return promise
}
