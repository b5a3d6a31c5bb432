// Keeps what the docs quote of the code and of the benchmarks true: node scripts/quote.mjs [--check]. A page marks a quotation
// with <!-- region FILE NAME --> ... <!-- end -->, the file with "// region NAME" and "// endregion"; a table of figures with
// <!-- bench NAME --> ... <!-- end -->, which comes from bench/results/NAME.json.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const PAGES = ['README.md', 'docs/gateway-peers.md', 'packages/gateway/README.md']

/** The pages whose quotations differ from the code; rewrites them unless `check` is set. */
export function quote(check) {
  const stale = []
  for (const page of PAGES) {
    const text = readFileSync(page, 'utf8')
    const fresh = text
      .replaceAll(/(<!-- region (\S+) (\S+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, head, file, name, tail) => {
        return `${head}\`\`\`ts\n${regionOf(file, name)}\n\`\`\`\n${tail}`
      })
      .replaceAll(/(<!-- bench (\S+) -->\n)[\s\S]*?(<!-- end -->)/g, (_, head, name, tail) => `${head}${tables[name]()}\n${tail}`)
    if (fresh === text) continue
    stale.push(page)
    if (!check) writeFileSync(page, fresh)
  }
  return stale
}

/** A table for each benchmark, from the figures it wrote. */
const tables = {
  sqlite() {
    const { commitsPerSecond, settings, ratio, commit, date, machine } = resultsOf('sqlite')
    const figure = (value) => value.toLocaleString('en')
    return [
      `| commits/s, synchronous=FULL, median of ${settings.rounds} rounds | one by one | ${settings.producers} at once, grouped | ratio |`,
      '|---|---|---|---|',
      `| ${commit}, ${date.slice(0, 10)}, ${machine} | ${figure(commitsPerSecond.oneByOne.median)} | ${figure(commitsPerSecond.grouped.median)} | ${ratio} |`,
    ].join('\n')
  },
  saga: () => verdicts('saga', 'sagas of four remote steps'),
  resume: () => verdicts('resume', 'sagas in flight, `kill -9`, a new process'),
  relay: () => verdicts('relay', 'messages a second of one process'),
  commit: () => verdicts('commit', 'outbox'),
  policy: () => verdicts('policy', 'ns of processor time a call takes above a bare await'),
  balance: () => verdicts('balance', 'who gets which call'),
  registry: () => verdicts('registry', 'the embedded registry'),
  rpc: () => verdicts('rpc', 'calls a second, 50 in flight, one client and one server'),
  gateway: () => verdicts('gateway', 'a small GET, 50 connections, the proxy on one core'),
  corpus: () => corpusTotals(),
  'corpus-cases': () => corpusCases(),
}

/** How many cases of the corpus each proxy took how. */
function corpusTotals() {
  const { contestants, cases, commit, date } = resultsOf('corpus')
  return [
    `| ${cases.length} cases of bad input | as wanted | fine | other | dangerous |`,
    '|---|---|---|---|---|',
    ...contestants.map(({ title, version, wanted, fine, other, dangerous }) => {
      return `| ${version ? `${title} ${version}` : title} | ${wanted} | ${fine} | ${other} | ${dangerous} |`
    }),
    '',
    `${commit}, ${date.slice(0, 10)}.`,
  ].join('\n')
}

/** What each proxy made of each case. */
function corpusCases() {
  const { contestants, cases } = resultsOf('corpus')
  const inTable = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*')
  const cell = ({ grade, what }) => {
    if (grade === 'wanted') return '·'
    return grade === 'dangerous' ? `**${inTable(what)}**` : inTable(what)
  }
  return [
    `| case | ${contestants.map(({ title }) => title).join(' | ')} |`,
    `|---|${'---|'.repeat(contestants.length)}`,
    ...cases.map(({ name, about, source, found }) => {
      const where = source ? ` (${source})` : ''
      return `| \`${name}\`: ${inTable(about)}${where} | ${contestants.map(({ subject }) => cell(found[subject])).join(' | ')} |`
    }),
  ].join('\n')
}

/** What a benchmark found, line by line, with what was wanted: missed targets too. */
function verdicts(name, title) {
  if (!existsSync(`bench/results/${name}.json`)) return 'Not measured yet.'
  const { verdicts: lines, settings, commit, date, machine } = resultsOf(name)
  const server = settings.postgres ? `, PostgreSQL ${settings.postgres.version}, every commit synced` : ''
  const verdict = ({ met }) => (met === undefined ? '' : met ? 'met' : '**not met**')
  return [
    `| ${title}, median of ${settings.rounds} rounds${server} | ours | beside | ratio | wanted | |`,
    '|---|---|---|---|---|---|',
    ...lines.map((line) => {
      const { what, ours, theirs = '', ratio = '', target = '' } = line
      return `| ${[what, ours, theirs, ratio, target, verdict(line)].join(' | ')} |`
    }),
    '',
    `${commit}, ${date.slice(0, 10)}, ${machine}.`,
  ].join('\n')
}

function resultsOf(name) {
  return JSON.parse(readFileSync(`bench/results/${name}.json`, 'utf8'))
}

function regionOf(file, name) {
  const found = readFileSync(file, 'utf8').match(new RegExp(`// region ${name}\\n([\\s\\S]*?)\\n[ ]*// endregion`))
  if (!found) throw new Error(`${file} has no region "${name}"`)
  const lines = found[1].split('\n')
  const indent = Math.min(...lines.filter((line) => line.trim()).map((line) => line.search(/\S/)))
  return lines.map((line) => line.slice(indent)).join('\n')
}

if (process.argv[1]?.endsWith('quote.mjs')) {
  const check = process.argv.includes('--check')
  const stale = quote(check)
  for (const page of stale) console.log(check ? `${page} quotes code that has changed; node scripts/quote.mjs mends it` : `${page} mended`)
  process.exit(check && stale.length > 0 ? 1 : 0)
}
