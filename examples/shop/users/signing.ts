import { type Component, databaseOf } from '@banyan/core'
import { tokenSigner } from './tokens.ts'

type Signer = Awaited<ReturnType<typeof tokenSigner>>

/** The token signer as a part of the service: its key is loaded when the service starts. */
export function signing() {
  let signer: Signer | undefined
  const component: Component = {
    name: 'token-signer',
    async start(context) {
      const { world } = context
      signer = await tokenSigner(databaseOf(context, 'token-signer'), world.uuid(), world.now)
    },
    async stop() {},
  }
  const started = (): Signer => {
    if (!signer) throw new Error('the token signer is used before the service has started')
    return signer
  }
  return { component, sign: (userId: string) => started().sign(userId), jwks: () => started().jwks }
}
