// The corpus is no part of what the package offers.
import { answerOf, type CorpusCase, faultsOf, type Observed } from '../../packages/gateway/src/test/corpus.ts'
import { stillDangerous, taste } from './taste.ts'

/**
 * `wanted`: as the case says. `fine`: refused or cut in another way, with nothing handed on. `other`: something else that no rule of HTTP
 * forbids. `dangerous`: something was handed on that must not be, the client waits in vain, or the process ended.
 */
export type Grade = 'wanted' | 'fine' | 'other' | 'dangerous'

export interface Judgement {
  readonly grade: Grade
  /** What happened, in a few words. */
  readonly what: string
}

/** Judges what a proxy made of a case. `hasDied`: its process ended over it. */
export function judge(given: CorpusCase, observed: Observed, hasDied: boolean): Judgement {
  if (hasDied) return { grade: 'dangerous', what: 'process ended' }
  const faults = faultsOf(given, observed)
  const answer = answerOf(observed.raw, given.request.startsWith('HEAD '))
  const seen = seenOf(answer, observed)
  // A connection kept open after a whole answer is as it should be; before that, the client waits for something that does not come.
  if (observed.isOpen && (answer.status === 0 || answer.body === undefined)) return { grade: 'dangerous', what: `${seen}, client waits` }
  if (faults.length === 0) return { grade: 'wanted', what: seen }
  if (given.upstream === 'none' || given.upstream === 'unfinished') return judgeRequest(given, observed, seen, answer.status)
  if (given.name.startsWith('answer-')) return judgeAnswer(given, observed, answer, { seen, faults })
  return judgeForwarded(given, observed, faults, answer.status)
}

function judgeRequest(given: CorpusCase, { received }: Observed, seen: string, status: number): Judgement {
  if (!hasHandedOn(given, received)) {
    return status === 0 || status >= 400 ? { grade: 'fine', what: seen } : { grade: 'other', what: `${seen}, answered itself` }
  }
  return { grade: isAllowed(given.name, received.join('\n'), '') ? 'other' : 'dangerous', what: `handed on, ${seen}` }
}

/** An answer that the client must not take for a good one. */
function judgeAnswer(
  given: CorpusCase,
  { raw }: Observed,
  { status, body }: ReturnType<typeof answerOf>,
  { seen, faults }: { readonly seen: string; readonly faults: readonly string[] },
): Judgement {
  const mustFail = given.client.cut === true || given.client.status?.includes(502) === true
  if (!mustFail) return { grade: 'other', what: faults.map(shortened).join('; ') }
  if (status === 0 || status >= 500 || body === undefined)
    return { grade: 'fine', what: status < 500 && status > 0 ? `${seen}, cut` : seen }
  return { grade: isAllowed(given.name, raw, body) ? 'other' : 'dangerous', what: `handed on, ${seen}` }
}

function judgeForwarded({ name }: CorpusCase, { received }: Observed, faults: readonly string[], status: number): Judgement {
  if (received.length === 0) return { grade: 'other', what: `not handed on, ${status || 'closed'}` }
  // Handed on, an upgrade to h2c opens a way past every route.
  const isTunnel = name === 'forwarded-h2c-upgrade' && /^upgrade:/im.test(received.join('\n'))
  return { grade: isTunnel ? 'dangerous' : 'other', what: faults.map(shortened).join('; ') }
}

/** Whether the upstream got a request; of those whose body is wrong, a whole one. */
function hasHandedOn(given: CorpusCase, received: readonly string[]): boolean {
  return given.upstream === 'none'
    ? received.length > 0
    : faultsOf({ ...given, client: {} }, { raw: '', isOpen: false, received }).length > 0
}

function isAllowed(name: string, text: string, body: string): boolean {
  return name in taste && stillDangerous[name]?.(text.split('\r\n\r\n')[0] ?? '', body) !== true
}

function seenOf({ status }: ReturnType<typeof answerOf>, { isOpen }: Observed): string {
  if (status > 0) return String(status)
  return isOpen ? 'no answer' : 'closed'
}

/** As a cell of a table has room for: what there was, not what was wanted. */
function shortened(fault: string): string {
  return fault
    .replace(/, wanted .*/, '')
    .replace(': undefined', ' missing')
    .replace('the upstream got ', 'upstream: ')
    .replace('the client got ', 'client: ')
}
