import { styleText } from 'node:util'
import { visible } from './table.ts'

/** `pretty`: coloured, prefixed lines for people. `json`: as they come. `silent`: none. */
export type LogStyle = 'pretty' | 'json' | 'silent'

type Colour = Parameters<typeof styleText>[0]

const COLOURS: readonly Colour[] = [
  'cyan',
  'magenta',
  'green',
  'yellow',
  'blue',
  'cyanBright',
  'magentaBright',
  'greenBright',
  'blueBright',
]
const LEVELS: Readonly<Record<string, Colour>> = { warn: 'yellow', error: 'red', debug: 'gray' }
const HIDDEN = new Set(['level', 'time', 'service', 'message', 'spanId'])

/** Writes the lines of many processes to one output, each with the name of its process. */
export function logLines(style: LogStyle, write: (line: string) => void, width: number): (name: string, line: string) => void {
  const colours = new Map<string, Colour>()
  if (style === 'silent') return () => {}
  if (style === 'json') return (name, line) => write(parse(line) ? line : JSON.stringify({ service: name, message: line }))
  return (name, line) => {
    const { service = name, text } = prettyLine(line)
    const colour = colours.get(service) ?? COLOURS[colours.size % COLOURS.length] ?? 'cyan'
    colours.set(service, colour)
    for (const one of text.split('\n')) write(`${styleText(colour, service.padEnd(width))} ${one}`)
  }
}

/** A line of pino's JSON as a person reads it; any other line as it is. */
export function prettyLine(line: string): { service?: string; text: string } {
  const fields = parse(line)
  if (!fields || !('message' in fields)) return { text: line }
  const { level, message, service } = fields
  const colour = LEVELS[String(level)]
  // What a client sent may stand in it: it neither speaks to the terminal nor looks like the line of another service.
  const lines = `${colour ? `${level} ` : ''}${message}`.split('\n').map(visible)
  const text = lines.map((one) => (colour ? styleText(colour, one) : one)).join('\n')
  const rest = Object.entries(fields).filter(([name]) => !HIDDEN.has(name))
  const details = rest.map(([name, value]) => `${name}=${valueText(value)}`).join(' ')
  return { ...(typeof service === 'string' ? { service } : {}), text: details ? `${text} ${styleText('gray', details)}` : text }
}

/** Errors in a line by their message; the whole stands in the JSON form. */
function valueText(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value) return visible(JSON.stringify(value.message))
  return visible(typeof value === 'string' ? value : JSON.stringify(value))
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(line)
    // A JSON object can be asked for any name.
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    // Not ours: a program may print a line that begins with a brace.
    return undefined
  }
}
