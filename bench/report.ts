import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '@banyan/core'

/** Where figures come from: without it they say nothing. */
export interface Provenance {
  /** The commit, with `+changes` when files differ from it, other than results. */
  commit: string
  /** The processor, and how many of them. */
  machine: string
  date: string
  node: string
}

/** Writes `results/<name>.json`: the figures and where they come from. @returns its path */
export function writeReport(name: string, figures: object): string {
  const folder = join(import.meta.dirname, 'results')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${name}.json`)
  writeFileSync(file, `${JSON.stringify({ ...provenance(), ...figures }, undefined, 2)}\n`)
  return file
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
  return (lower + upper) / 2
}

function provenance(): Provenance {
  const processors = cpus()
  return {
    commit: commit(),
    machine: `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown processor'}`,
    date: new Date().toISOString(),
    node: process.version,
  }
}

function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '--', ':/', ':!/bench/results') ? '+changes' : '')
  } catch (error) {
    return `unknown (${messageOf(error)})`
  }
}
