// Every gate but the tests, in one command: npm run ok. Prints a line a gate; stops at none, fails if one fails.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { quote } from './quote.mjs'

const gates = [
  ['format, lint, arrows, cycles', 'biome', ['ci', '--max-diagnostics=50', '.']],
  ['types', 'tsc', ['-b']],
  ['types of the tests', 'tsc', ['-p', 'tsconfig.tests.json']],
  ['packages', checkPackages],
  ['docs', checkDocs],
]

// Why a package has more than three: decisions/003-dependencies.md.
const MORE_DEPENDENCIES = { '@banyan/service': 5, '@banyan/gateway': 4 }

let failed = 0
for (const [name, command, args] of gates) {
  const started = performance.now()
  const problems = typeof command === 'function' ? command() : run(command, args)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${problems ? 'FAILED' : 'ok    '}  ${name} (${seconds} s)`)
  if (problems) console.log(problems)
  failed += problems ? 1 : 0
}
console.log(failed ? `${failed} of ${gates.length} gates failed` : `all ${gates.length} gates passed`)
process.exit(failed ? 1 : 0)

/** What a program printed when it failed, else nothing. */
function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (error) return `${command}: ${error.message}`
  return status === 0 ? '' : `${stdout}${stderr}`.trim()
}

/** One version for all packages; at most three dependencies of others' a package, drivers' adapters and the console aside. */
function checkPackages() {
  const root = readJson('package.json')
  const problems = []
  for (const folder of readdirSync('packages')
    .map((name) => `packages/${name}`)
    .concat(readdirSync('adapters').map((name) => `adapters/${name}`))) {
    const { name, version, dependencies = {}, exports } = readJson(`${folder}/package.json`)
    if (version !== root.version) problems.push(`${name} has version ${version}, the project ${root.version}`)
    if (!exports?.['.']?.['@banyan/source']) problems.push(`${name} does not export its source to the workspace`)
    const foreign = Object.keys(dependencies).filter((dependency) => !dependency.startsWith('@banyan/'))
    const most = MORE_DEPENDENCIES[name] ?? 3
    if (folder.startsWith('packages/') && foreign.length > most)
      problems.push(`${name} has ${foreign.length} dependencies, ${foreign.join(', ')}; wanted at most ${most}`)
  }
  return problems.join('\n')
}

/** Every file that ARCHITECTURE.md, the README or a package's README names exists. */
function checkDocs() {
  const problems = quote(true).map((page) => `${page} quotes code that has changed; node scripts/quote.mjs mends it`)
  const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md']
  for (const page of pages) {
    for (const [, path] of readFileSync(page, 'utf8').matchAll(
      /`((?:packages|adapters|examples|scripts|docs|decisions|bench)\/[\w./-]+\.\w+)`/g,
    )) {
      if (!exists(path)) problems.push(`${page} names ${path}, which is not there`)
    }
  }
  return problems.join('\n')
}

function exists(path) {
  try {
    readFileSync(path)
    return true
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}
