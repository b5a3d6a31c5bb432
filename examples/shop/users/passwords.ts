import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify<string, Buffer, number, Buffer>(scrypt)

export interface StoredPassword {
  salt: string
  hash: string
}

/** Stretches a password for keeping (scrypt, RFC 7914, Node's default cost). */
export async function hashPassword(password: string): Promise<StoredPassword> {
  const salt = randomBytes(16)
  return { salt: salt.toString('hex'), hash: (await derive(password, salt, 32)).toString('hex') }
}

/** Takes the same time for every wrong password. */
export async function checkPassword(password: string, stored: StoredPassword): Promise<boolean> {
  const hash = await derive(password, Buffer.from(stored.salt, 'hex'), 32)
  return timingSafeEqual(hash, Buffer.from(stored.hash, 'hex'))
}
