import { CodedError } from '@banyan/core'
import { relay } from '@banyan/messaging'
import { type Host, type Service, serve } from '@banyan/service'
import { accounts, findUser, register, verify } from './accounts.ts'
import { usersApi } from './contract.ts'
import { migrations } from './migrations.ts'
import { signing } from './signing.ts'
import { TOKEN_SECONDS } from './tokens.ts'

export default function main(host: Host): Service {
  const users = host.service('users', { migrations })
  const signer = signing()

  users.use(relay())
  users.use(signer.component)
  users.use(accounts)
  users.use(
    serve(usersApi, {
      register: ({ body }, { database, world }) => register(database, { userId: world.uuid(), ...body }),
      async signIn({ body }, { database }) {
        const userId = await verify(database, body.email, body.password)
        if (!userId) throw new CodedError('ERR_CREDENTIALS_WRONG', 'the e-mail or the password is wrong', { status: 401 })
        return { token: await signer.sign(userId), userId, expiresInSeconds: TOKEN_SECONDS }
      },
      async me({ headers }, { database }) {
        const userId = headers['x-auth-subject']
        if (!userId) throw new CodedError('ERR_NOT_SIGNED_IN', 'send a token of POST /api/sessions through the gateway', { status: 401 })
        return findUser(database, userId)
      },
      jwks: async () => signer.jwks(),
    }),
  )
  return users
}
