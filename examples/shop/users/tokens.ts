import type { Database } from '@banyan/core'
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'

export const TOKEN_SECONDS = 3600
export const ISSUER = 'https://users.shop.example'
export const AUDIENCE = 'shop'
const ALGORITHM = 'ES256'

/** Signs tokens with a key that is made once and kept in the service's database, so that tokens outlive a restart. */
export async function tokenSigner(database: Database, keyId: string, now: () => number) {
  const key = (await storedKey(database)) ?? (await makeKey(database, keyId))
  const signing = await importJWK(key.private, ALGORITHM)
  return {
    sign: (userId: string) =>
      new SignJWT()
        .setProtectedHeader({ alg: ALGORITHM, kid: key.keyId })
        .setSubject(userId)
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setIssuedAt(Math.floor(now() / 1000))
        .setExpirationTime(Math.floor(now() / 1000) + TOKEN_SECONDS)
        .sign(signing),
    jwks: { keys: [{ ...key.public, kid: key.keyId, alg: ALGORITHM, use: 'sig' }] },
  }
}

interface SigningKey {
  keyId: string
  private: JWK
  public: JWK
}

async function storedKey(database: Database): Promise<SigningKey | undefined> {
  const [row] = await database.read(
    (tx) => tx.sql<{ key_id: string; private: string; public: string }>`select * from signing_keys order by key_id desc limit 1`,
  )
  return row && { keyId: row.key_id, private: JSON.parse(row.private), public: JSON.parse(row.public) }
}

async function makeKey(database: Database, keyId: string): Promise<SigningKey> {
  const pair = await generateKeyPair(ALGORITHM, { extractable: true })
  const key = { keyId, private: await exportJWK(pair.privateKey), public: await exportJWK(pair.publicKey) }
  await database.transaction(
    (tx) => tx.sql`
      insert into signing_keys (key_id, private, public)
      values (${keyId}, ${JSON.stringify(key.private)}, ${JSON.stringify(key.public)})`,
  )
  return key
}
