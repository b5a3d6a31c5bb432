import { describe, expect, it } from 'vitest'
import { busAnswers } from './bus-answers.ts'

/** What is known of an event's failure, of which `x` is where it was handed over and `!` where it failed: `y` and `n` are answers to others. */
function verdict(script: string): boolean {
  const answers = busAnswers()
  let watched = answers.watch()
  let wasThere = () => false
  for (const sign of script) {
    if (sign === 'x') watched = answers.watch()
    if (sign === '!') wasThere = watched.failed()
    if (sign === 'y') answers.yes()
    if (sign === 'n') answers.no()
  }
  return wasThere()
}

describe('what the bus answers', () => {
  it.each([
    ['yx!y', true],
    ['nyx!y', true],
    ['yxyy!y', true],
    ['yx!yn', true],
    ['x!y', false],
    ['yx!', false],
    ['yx!n', false],
    ['yx!ny', false],
    ['ynx!y', false],
    ['yxn!y', false],
    ['yxny!y', false],
  ])('shows in %s whether it was there: %s', (script, wasThere) => {
    expect(verdict(script)).toBe(wasThere)
  })
})
