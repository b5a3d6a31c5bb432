import type { AttemptEnd } from '@banyan/saga/internal'
import { endMoves } from './explore-end.ts'
import type { Begun, Moment } from './explore-moment.ts'
import { toText } from './explore-run.ts'
import type { Move, Site } from './explore-site.ts'

/** What may come for a step that waits: what it waits for, a no, or nothing. None of them is a fault. */
export function waitMoves(site: Site, moment: Moment, begun: Begun, kind: 'wait' | 'approve' | 'child'): Move[] {
  const { step } = begun
  const answer = site.answers[step]
  const value = kind === 'approve' ? { by: 'somebody', reason: 'explored', value: answer } : answer
  const came: AttemptEnd = { event: { kind: 'done' }, result: toText(value, `the answer of "${step}"`) }
  const ends: [string, AttemptEnd][] = [['comes', came]]
  if (kind === 'approve') ends.push(['rejected', no('rejected', 'somebody says no')])
  if (kind === 'child') ends.push(['undone', no('undone', 'the child saga was undone')])
  if (site.engine.step(step).withinMs !== undefined) ends.push(['expires', { event: { kind: 'expired' }, result: undefined }])
  return ends.flatMap(([id, end]) =>
    endMoves(site, moment, begun, end).map((move) => ({ ...move, id: `${step}.${id}${move.id.slice(move.id.lastIndexOf('.'))}` })),
  )
}

function no(code: string, message: string): AttemptEnd {
  return { event: { kind: 'refused', refusal: { code, message } }, result: undefined }
}
