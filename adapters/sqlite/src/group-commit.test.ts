import { codeOf, type ManualWorld, manualWorld, silentLogger, sleep } from '@banyan/core'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { type GroupCommitOptions, groupCommit } from './group-commit.ts'
import type { Member } from './group-member.ts'
import { SqliteError } from './sqlite-error.ts'
import { type NaiveEngine, naiveEngine } from './test/naive-engine.ts'

function optionsOf(world: ManualWorld, options: Partial<GroupCommitOptions> = {}): GroupCommitOptions {
  return { world, log: silentLogger, maxGroup: 128, maxGroupMs: 10, transactionTimeoutMs: 1_000, busyTimeoutMs: 500, ...options }
}

describe('group commit', () => {
  it('commits a lone transaction without waiting for company', async () => {
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(manualWorld()))
    await commits.run(async () => engine.write('a', 1))
    expect(engine.stored()).toEqual({ a: 1 })
    expect(engine.commits).toEqual([1])
  })

  it('commits those that arrive while one runs together, up to "maxGroup"', async () => {
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(manualWorld(), { maxGroup: 4 }))
    await Promise.all(Array.from({ length: 10 }, (_, index) => commits.run(async () => engine.write(`k${index}`, index))))
    expect(engine.commits).toEqual([4, 4, 2])
  })

  it('takes what does all at once into the same groups, undone alone when it fails', async () => {
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(manualWorld()))
    const failing = () =>
      commits.atOnce(() => {
        engine.write('b', 0)
        throw new Error('at once')
      })
    const outcomes = await Promise.allSettled([
      commits.atOnce(() => engine.write('a', 1)),
      failing(),
      commits.run(async () => engine.write('c', 3)),
      commits.atOnce(() => 'a value'),
    ])
    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.message))).toEqual([
      undefined,
      'at once',
      undefined,
      'a value',
    ])
    await expect(failing()).rejects.toThrow('at once')
    expect(engine.stored()).toEqual({ a: 1, c: 3 })
    expect(engine.commits).toEqual([3])
  })

  it('takes a savepoint for those alone that have others before them', async () => {
    const engine = naiveEngine()
    const savepoint = vi.fn(engine.savepoint)
    const commits = groupCommit({ ...engine, savepoint }, optionsOf(manualWorld()))
    await commits.run(async () => engine.write('a', 1))
    expect(savepoint).not.toHaveBeenCalled()
    await Promise.all(['b', 'c', 'd'].map((key) => commits.run(async () => engine.write(key, 1))))
    expect(savepoint).toHaveBeenCalledTimes(2)
  })

  it('takes back a first one that fails, and nothing of those behind it', async () => {
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(manualWorld()))
    const failing = commits.run(async () => {
      engine.write('a', 1)
      throw new Error('body')
    })
    const behind = ['b', 'c'].map((key) => commits.run(async () => engine.write(key, 1)))
    await expect(failing).rejects.toThrow('body')
    await Promise.all(behind)
    expect(engine.stored()).toEqual({ b: 1, c: 1 })
    expect(engine.commits).toEqual([2])
  })

  it('stops taking members in after "maxGroupMs"', async () => {
    const world = manualWorld()
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(world, { maxGroupMs: 10 }))
    const slow = () => commits.run(() => sleep(world, 6))
    const all = Promise.all([slow(), slow(), slow(), slow(), slow()])
    await world.advance(1_000)
    await all
    expect(engine.commits).toEqual([2, 2, 1])
  })

  it('resolves nobody of a group before its commit', async () => {
    const world = manualWorld()
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(world, { maxGroupMs: 100 }))
    const first = vi.fn()
    void commits.run(async () => engine.write('a', 1)).then(first)
    const second = commits.run(() => sleep(world, 50))
    await world.advance(49)
    expect(first).not.toHaveBeenCalled()
    await world.advance(1)
    await second
    expect(first).toHaveBeenCalledOnce()
  })

  it('rejects the whole group when its commit fails, and is fit for the next', async () => {
    const engine = naiveEngine((commit) => commit === 0)
    const commits = groupCommit(engine, optionsOf(manualWorld()))
    const notify = vi.fn()
    const write = (key: string) =>
      commits.run(async (member) => {
        member.afterCommit(notify)
        engine.write(key, 1)
      })
    const outcomes = await Promise.allSettled([write('a'), write('b'), write('c')])
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(Array(3).fill('ERR_COMMIT_FAILED'))
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.cause.message)).toEqual(
      Array(3).fill('the disk is full'),
    )
    expect(notify).not.toHaveBeenCalled()
    await write('d')
    expect(engine.stored()).toEqual({ d: 1 })
  })

  it('does what members leave to the end after the last of them, and calls once for all', async () => {
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(manualWorld()))
    const order: string[] = []
    const committed = vi.fn(() => order.push(`committed ${engine.commits.length}`))
    const run = (key: string, end: () => void = () => {}) =>
      commits.run(async (member) => {
        member.withCommit({ write: () => void order.push(`last of ${key}`), committed })
        order.push(key)
        end()
      })
    const failing = () => {
      throw new Error('body')
    }
    await Promise.allSettled([run('a'), run('b', failing), run('c')])
    expect(order).toEqual(['a', 'b', 'c', 'last of a', 'last of c', 'committed 1'])
    expect(committed).toHaveBeenCalledOnce()
  })

  it('loses the group when what a member left to its end fails, and is fit for the next', async () => {
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(manualWorld()))
    const committed = vi.fn()
    const write = (key: string, last: () => void) =>
      commits.run(async (member) => {
        engine.write(key, 1)
        member.withCommit({ write: last, committed })
      })
    const fail = () => {
      throw new Error('the disk is full')
    }
    const outcomes = await Promise.allSettled([write('a', () => {}), write('b', fail)])
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(Array(2).fill('ERR_COMMIT_FAILED'))
    expect(committed).not.toHaveBeenCalled()
    await write('c', () => {})
    expect(engine.stored()).toEqual({ c: 1 })
  })

  it('runs the members one by one when what one left to the end breaks a constraint: it alone is refused', async () => {
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(manualWorld()))
    const refuse = () => {
      throw new SqliteError('ERR_SQL_CONSTRAINT', 'not null')
    }
    const write = (key: string, last: () => void) =>
      commits.run(async (member) => {
        engine.write(key, 1)
        member.withCommit({ write: last, committed: () => {} })
      })
    const outcomes = await Promise.allSettled([write('a', () => {}), write('b', refuse), write('c', () => {})])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(engine.stored()).toEqual({ a: 1, c: 1 })
  })

  it('runs no member again whose caller was told that it took too long', async () => {
    const world = manualWorld()
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(world, { transactionTimeoutMs: 50, maxGroupMs: 100 }))
    const notify = vi.fn()
    const slow = vi.fn(async (member: Member) => {
      member.afterCommit(notify)
      engine.write('late', 1)
      if (slow.mock.calls.length === 1) await new Promise(() => {})
    })
    const refuse = () => {
      throw new SqliteError('ERR_SQL_CONSTRAINT', 'a deferred foreign key')
    }
    const outcomes = Promise.allSettled([
      commits.run(async () => engine.write('a', 1)),
      commits.run(async (member) => member.withCommit({ write: refuse, committed: () => {} })),
      commits.run(slow),
    ])
    await world.advance(1_000)
    expect((await outcomes).map((outcome) => (outcome.status === 'fulfilled' ? 'stored' : codeOf(outcome.reason)))).toEqual([
      'stored',
      'ERR_SQL_CONSTRAINT',
      'ERR_TRANSACTION_TIMEOUT',
    ])
    await commits.close()
    expect(slow).toHaveBeenCalledOnce()
    expect(notify).not.toHaveBeenCalled()
    expect(engine.stored()).toEqual({ a: 1 })
  })

  it('waits in short steps while another process writes, and gives up after "busyTimeoutMs"', async () => {
    const world = manualWorld()
    const engine = naiveEngine()
    let free = false
    const begin = vi.fn(() => free && engine.begin())
    const commits = groupCommit({ ...engine, begin }, optionsOf(world, { busyTimeoutMs: 500 }))
    const early = commits.run(async () => 'early')
    const refused = expect(early).rejects.toMatchObject({ code: 'ERR_DATABASE_BUSY', retryAfterMs: expect.any(Number) })
    await world.advance(300)
    const late = commits.run(async () => 'late')
    await world.advance(300)
    await refused
    free = true
    await world.advance(100)
    expect(await late).toBe('late')
    expect(begin.mock.calls.length).toBeGreaterThan(10)
  })

  it('hands the error of a database that cannot begin to the first in line and goes on', async () => {
    const engine = naiveEngine()
    let broken = true
    const begin = () => {
      if (!broken) return engine.begin()
      broken = false
      throw new Error('disk I/O error')
    }
    const commits = groupCommit({ ...engine, begin }, optionsOf(manualWorld()))
    const [first, second] = await Promise.allSettled([commits.run(async () => 1), commits.run(async () => 2)])
    expect([first.status, second.status]).toEqual(['rejected', 'fulfilled'])
  })

  it.each(['run', 'atOnce'] as const)('rejects with what a body threw, also where nothing of that can be read: %s', async (how) => {
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf(manualWorld()))
    for (const thrown of unreadable()) {
      const fail = () => {
        throw thrown
      }
      const failing = how === 'run' ? commits.run(async () => fail()) : commits.atOnce(fail)
      const behind = commits.run(async () => engine.write('a', 1))
      expect(await failing.catch((error) => error === thrown)).toBe(true)
      await behind
    }
    await commits.close()
    expect(engine.stored()).toEqual({ a: 1 })
  })

  it('resolves and makes the other calls when an afterCommit throws what no log can write', async () => {
    const log = {
      ...silentLogger,
      error(fields: object) {
        for (const field of Object.values(fields)) field.code.toString()
      },
    }
    const commits = groupCommit(naiveEngine(), optionsOf(manualWorld(), { log }))
    const notify = vi.fn()
    for (const thrown of unreadable()) {
      await commits.run(async (member) => {
        member.afterCommit(() => {
          throw thrown
        })
        member.afterCommit(notify)
      })
    }
    expect(notify).toHaveBeenCalledTimes(2)
  })

  it('logs an afterCommit that rejects, whose rejection nobody would take: it would end the process', async () => {
    const log = { ...silentLogger, error: vi.fn() }
    const commits = groupCommit(naiveEngine(), optionsOf(manualWorld(), { log }))
    const error = new Error('no letter')
    // As "() => void" takes an async function.
    await commits.run(async (member) => member.afterCommit(async () => Promise.reject(error)))
    await new Promise(setImmediate)
    expect(log.error.mock.calls).toEqual([[{ error }, 'an afterCommit call threw']])
  })

  it('rejects all of a group that cannot even be rolled back, and goes on', async () => {
    const engine = naiveEngine()
    let broken = true
    const refuse = (rest: () => void) => () => {
      if (broken) throw new Error('disk I/O error')
      rest()
    }
    const commits = groupCommit({ ...engine, undo: refuse(engine.undo), rollback: refuse(engine.rollback) }, optionsOf(manualWorld()))
    const notify = vi.fn()
    const write = (key: string, end: () => void = () => {}) =>
      commits.run(async (member) => {
        engine.write(key, 1)
        member.afterCommit(notify)
        end()
      })
    const failing = () => {
      throw new Error('body')
    }
    const outcomes = await Promise.allSettled([write('a'), write('b', failing), write('c')])
    const lost = { reason: { code: 'ERR_COMMIT_FAILED', cause: { message: 'disk I/O error' } } }
    expect(outcomes).toMatchObject([lost, lost, { reason: { message: 'a transaction is open' } }])
    expect(notify).not.toHaveBeenCalled()
    broken = false
    engine.rollback()
    await write('d')
    await commits.close()
    expect(engine.stored()).toEqual({ d: 1 })
  })

  it('rejects the first in line when it cannot even wait for its turn, and goes on', async () => {
    const world = manualWorld()
    let broken = true
    const after: ManualWorld['after'] = (...args) => {
      if (!broken) return world.after(...args)
      broken = false
      throw new Error('no timer')
    }
    const engine = naiveEngine()
    const commits = groupCommit(engine, optionsOf({ ...world, after }))
    const outcomes = await Promise.allSettled(['a', 'b'].map((key) => commits.run(async () => engine.write(key, 1))))
    expect(outcomes).toMatchObject([{ reason: { code: 'ERR_COMMIT_FAILED', cause: { message: 'no timer' } } }, { status: 'fulfilled' }])
    expect(engine.stored()).toEqual({ b: 1 })
  })

  it('leaves no transaction open when something fails that nobody foresaw', async () => {
    const world = manualWorld()
    const engine = naiveEngine()
    let broken = true
    const monotonic = () => {
      if (!broken || !engine.inTransaction()) return world.monotonic()
      broken = false
      throw new Error('no clock')
    }
    const commits = groupCommit(engine, optionsOf({ ...world, monotonic }))
    const outcomes = await Promise.allSettled(['a', 'b'].map((key) => commits.run(async () => engine.write(key, 1))))
    expect(outcomes).toMatchObject([{ reason: { code: 'ERR_COMMIT_FAILED', cause: { message: 'no clock' } } }, { status: 'fulfilled' }])
    expect(engine.stored()).toEqual({ b: 1 })
  })

  it('lets the event loop turn between groups, however many transactions follow each other', async () => {
    let now = 0
    const due: (() => void)[] = []
    const after = (_: number, fire: () => void) => {
      due.push(fire)
      return { cancel: () => {} }
    }
    const world = { ...manualWorld(), monotonic: () => now, after }
    const commits = groupCommit(naiveEngine(), optionsOf(world, { maxGroup: 1, maxGroupMs: 10 }))
    let done = 0
    const all = Array.from({ length: 30 }, () =>
      commits.run(async () => {
        now += 4
        done += 1
      }),
    )
    await new Promise((resolve) => setImmediate(resolve))
    // 4, 8, 12 ms: the third ends past 10 ms, so the fourth waits for the timers to have had their turn.
    expect(done).toBe(3)
    while (done < 30) {
      for (const fire of due.splice(0)) fire()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(all)
  })
})

/** An error whose code throws, and a proxy that is revoked. */
function unreadable(): unknown[] {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  const error = Object.defineProperty(new Error('unreadable'), 'code', {
    get() {
      throw new Error('no code for you')
    },
  })
  return [error, proxy]
}

/** One transaction of the property below. */
interface Script {
  readonly key: string
  readonly value: number
  /** Milliseconds that pass in its body. */
  readonly pause: number
  readonly end: 'return' | 'throw' | 'hang' | 'throw in hook'
  /** All of it, without a pause, a hook or a time limit. */
  readonly atOnce: boolean
}

const scripts = fc.array(
  fc.record<Script>({
    key: fc.constantFrom('a', 'b', 'c'),
    value: fc.integer(),
    pause: fc.constantFrom(0, 0, 0, 3, 20),
    end: fc.constantFrom('return', 'return', 'return', 'throw', 'hang', 'throw in hook'),
    atOnce: fc.boolean(),
  }),
  { maxLength: 30 },
)

describe('group commit against a naive model', () => {
  it('stores exactly what it resolved, in order, and settles everything', async () => {
    await fc.assert(
      fc.asyncProperty(
        scripts,
        fc.array(fc.boolean(), { maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        async (list, faults, maxGroup) => {
          const world = manualWorld()
          const engine = naiveEngine((commit) => faults[commit] ?? false)
          const commits = groupCommit(engine, optionsOf(world, { maxGroup, maxGroupMs: 15, transactionTimeoutMs: 50 }))
          const notified = new Set<number>()
          const running = list.map((script, index) =>
            script.atOnce
              ? commits.atOnce(() => playAtOnce(engine, script))
              : commits.run((member) => play(world, engine, script, member, () => notified.add(index))),
          )
          const settled = Promise.allSettled(running)
          await world.advance(100_000)
          const outcomes = await settled

          const model: Record<string, number> = {}
          for (const [index, outcome] of outcomes.entries()) {
            const script = list[index]
            if (!script) continue
            if (outcome.status === 'fulfilled') Object.assign(model, writtenBy(script))
            expect(notified.has(index)).toBe(outcome.status === 'fulfilled' && !script.atOnce)
            if (outcome.status === 'rejected') expect(expectedCodes(script)).toContain(codeOf(outcome.reason) ?? outcome.reason.message)
            else if (!script.atOnce) expect(script.end).toBe('return')
            else expect(script.end).not.toBe('throw')
          }
          expect(engine.stored()).toEqual(model)
          expect(engine.inTransaction()).toBe(false)
          expect(Math.max(0, ...engine.commits)).toBeLessThanOrEqual(maxGroup)
        },
      ),
      { numRuns: 150 },
    )
  })
})

async function play(world: ManualWorld, { write, writeLast }: NaiveEngine, script: Script, member: Member, notify: () => void) {
  member.afterCommit(notify)
  member.withCommit({ write: () => writeLast(`last ${script.key}`, script.value), committed: () => {} })
  // Undone when the transaction fails, or it would show in the model.
  write(script.key, script.value - 1)
  if (script.pause > 0) await sleep(world, script.pause)
  member.beforeCommit(async () => {
    write(script.key, script.value)
    if (script.end === 'throw in hook') throw new Error('hook')
  })
  if (script.end === 'throw') throw new Error('body')
  if (script.end === 'hang') await new Promise(() => {})
}

function playAtOnce({ write }: NaiveEngine, script: Script): void {
  write(script.key, script.value)
  if (script.end === 'throw') throw new Error('body')
}

function writtenBy({ key, value, atOnce }: Script): Record<string, number> {
  return atOnce ? { [key]: value } : { [key]: value, [`last ${key}`]: value }
}

function expectedCodes({ end }: Script): string[] {
  const own = { return: [], throw: ['body'], 'throw in hook': ['hook'], hang: ['ERR_TRANSACTION_TIMEOUT'] }[end]
  return [...own, 'ERR_COMMIT_FAILED']
}
