// The corpus is no part of what the package offers.
import { answerOf, type CorpusCase, faultsOf, type Observed } from '../../packages/gateway/src/test/corpus.ts'
import { FOLD_CASES, FRAMING_CASES, taste } from './taste.ts'

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
  if (given.name.startsWith('answer-')) return judgeAnswer(given, observed, seen, answer)
  return judgeForwarded(given, observed, faults, answer.status)
}

function judgeRequest(given: CorpusCase, { received }: Observed, seen: string, status: number): Judgement {
  if (!hasHandedOn(given, received)) {
    return status === 0 || status >= 400 ? { grade: 'fine', what: seen } : { grade: 'other', what: `${seen}, answered itself` }
  }
  const isAllowed = given.name in taste && isClean(given.name, received.join('\n'))
  return { grade: isAllowed ? 'other' : 'dangerous', what: `handed on, ${seen}` }
}

/** An answer that the client must not take for a good one. */
function judgeAnswer(given: CorpusCase, { raw }: Observed, seen: string, { status, body }: ReturnType<typeof answerOf>): Judgement {
  const mustFail = given.client.cut === true || given.client.status?.includes(502) === true
  if (!mustFail) return { grade: 'other', what: seen }
  if (status === 0 || status >= 500 || body === undefined)
    return { grade: 'fine', what: status < 500 && status > 0 ? `${seen}, cut` : seen }
  const isAllowed = given.name in taste && isClean(given.name, raw)
  return { grade: isAllowed ? 'other' : 'dangerous', what: `handed on, ${seen}` }
}

function judgeForwarded({ name }: CorpusCase, { received }: Observed, faults: readonly string[], status: number): Judgement {
  const what = faults.map(shortened).join('; ')
  // Handed on, an upgrade to h2c opens a way past every route.
  const isTunnel = name === 'forwarded-h2c-upgrade' && /^upgrade:/im.test(received.join('\n'))
  return { grade: isTunnel ? 'dangerous' : 'other', what: status === 200 || status === 0 ? what : `${status}; ${what}` }
}

/** Whether the upstream got a request; of those whose body is wrong, a whole one. */
function hasHandedOn(given: CorpusCase, received: readonly string[]): boolean {
  return given.upstream === 'none'
    ? received.length > 0
    : faultsOf({ ...given, client: {} }, { raw: '', isOpen: false, received }).length > 0
}

function isClean(name: string, text: string): boolean {
  const head = text.split('\r\n\r\n')[0] ?? ''
  if (FRAMING_CASES.has(name)) return !(/^transfer-encoding:/im.test(head) && /^content-length:/im.test(head))
  if (FOLD_CASES.has(name)) return !/\r\n[ \t]/.test(head)
  return true
}

function seenOf({ status }: ReturnType<typeof answerOf>, { isOpen }: Observed): string {
  if (status > 0) return String(status)
  return isOpen ? 'no answer' : 'closed'
}

/** As a cell of a table has room for. */
function shortened(fault: string): string {
  return fault
    .replace('the upstream got ', '')
    .replace('the client got ', 'client: ')
    .replace('nothing reached the upstream', 'nothing handed on')
}
