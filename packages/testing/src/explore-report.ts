import type { Found } from './explore-search.ts'

/** A schedule in words. */
export interface ToldSchedule {
  readonly faults: number
  /** What happens, a line a move. */
  readonly lines: readonly string[]
  /** The same as a short text, for `replay`. */
  readonly schedule: string
}

/** A schedule that breaks a rule. */
export interface Counterexample extends ToldSchedule {
  /** What is broken. */
  readonly rule: string
}

/** How much was looked at. */
export interface Figures {
  /** Ways from the start to an end: two differ in what happens, in the order of it, or in a fault. */
  readonly schedules: number
  /** Different moments that came up in them. */
  readonly moments: number
  /** Different moves between moments: each was really made, by the saga's own functions and the engine's own transition. */
  readonly moves: number
  readonly seconds: number
  readonly schedulesPerSecond: number
  /** How the saga ends when nothing goes wrong: `completed`, as a rule. */
  readonly usualEnds: readonly string[]
  /** False: there was more than `maxMoments` to look at, or something is broken, and nothing more was looked at. */
  readonly complete: boolean
}

export function figuresOf({ schedules, moments, moves, usualEnds, complete }: Found, seconds: number): Figures {
  const schedulesPerSecond = Math.round(schedules / Math.max(seconds, 0.001))
  return { schedules, moments, moves, seconds, schedulesPerSecond, usualEnds, complete }
}

export interface Headline {
  readonly name: string
  readonly version: number
  readonly faults: number
}

/** All of it for people. */
export function explorationText(
  { name, version, faults }: Headline,
  figures: Figures,
  broken: Counterexample | undefined,
  notes: readonly string[],
): string {
  const head = `saga ${name}, version ${version}, every schedule with up to ${counted(faults, 'fault')}: `
  if (broken)
    return `${head}BROKEN\n${brokenText(broken)}\nfound among ${grouped(figures.moments)} moments, in ${figures.seconds.toFixed(2)} s`
  const ends = `without a fault it ends ${figures.usualEnds.join(' or ') || 'nowhere'}`
  const said = figures.complete ? 'nothing is broken' : 'nothing broken was found, but NOT ALL was looked at; raise maxMoments'
  return [`${head}${said}; ${ends}`, ...notes.map((note) => `note: ${note}`), figuresText(figures)].join('\n')
}

/** One schedule for people. */
export function replayText({ name, version }: Headline, told: ToldSchedule, rule: string | undefined): string {
  const head = `saga ${name}, version ${version}, one schedule, ${counted(told.faults, 'fault')}: `
  return [
    `${head}${rule === undefined ? 'nothing is broken' : 'BROKEN'}`,
    ...(rule === undefined ? [] : [`broken: ${rule}`]),
    ...numbered(told),
  ].join('\n')
}

/** A counterexample for people: what is broken, what happens, and how to see it again. */
export function brokenText({ rule, ...told }: Counterexample): string {
  const again = told.schedule === '' ? 'it breaks without any fault' : `replay: ${told.schedule}`
  return [`broken: ${rule}`, `shortest schedule, ${counted(told.faults, 'fault')}:`, ...numbered(told), again].join('\n')
}

function numbered({ lines }: ToldSchedule): string[] {
  const width = String(lines.length).length
  return lines.map((line, index) => `  ${String(index + 1).padStart(width)}. ${line}`)
}

export function figuresText({ schedules, moments, moves, seconds, schedulesPerSecond }: Figures): string {
  const made = `${grouped(moves)} moves between ${grouped(moments)} moments`
  return `${grouped(schedules)} schedules (${made}) in ${seconds.toFixed(2)} s: ${grouped(schedulesPerSecond)} schedules/s, ${grouped(Math.round(moves / Math.max(seconds, 0.001)))} moves/s`
}

function grouped(number: number): string {
  return number.toLocaleString('en')
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
