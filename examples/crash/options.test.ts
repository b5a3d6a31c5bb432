import { expect, it } from 'vitest'
import { OptionError, readOptions } from './options.ts'

const read = (line: string) => readOptions(line.split(' '))

it.each([
  ['--scenario saga --break inbox', '--break inbox belongs to the scenario messaging'],
  ['--scenario saga --break outbox', '--break outbox belongs to the scenario messaging'],
  ['--scenario messaging --break tombstone', '--break tombstone belongs to the scenario saga'],
  [
    '--scenario messaging --role stock',
    'there is no --role stock on sqlite: the scenario messaging has producer, relay, consumer, rival, bus',
  ],
  [
    '--scenario saga --role consumer --engine postgres',
    'there is no --role consumer on postgres: the scenario saga has orchestrator, rival, stock, money, database',
  ],
  ['--role database', 'there is no --role database on sqlite: the scenario messaging has producer,'],
  ['--break inbox --role stock', 'there is no --role stock on sqlite: the scenario messaging has producer,'],
  ['--trials 0', '"--trials" is "0", wanted a whole number from 1'],
  ['--trials -1', '"--trials" is "-1", wanted a whole number from 1'],
  ['--trials ', '"--trials" is "", wanted a whole number from 1'],
  ['--parallel 0', '"--parallel" is "0", wanted a whole number from 1'],
  ['--kills -1', '"--kills" is "-1", wanted a whole number from 0'],
  ['--timeout-ms 0', '"--timeout-ms" is "0", wanted a whole number from 1'],
  ['--role nobody', '"--role" is "nobody", wanted'],
])('refuses %s, and says what there is', (line, message) => {
  expect(() => read(line)).toThrow(OptionError)
  expect(() => read(line)).toThrow(message)
})

it.each([
  ['--trials 1', ['messaging', 'saga']],
  ['--trials 1 --role stock', ['saga']],
  ['--role bus', ['messaging']],
  ['--role rival', ['messaging', 'saga']],
  ['--role database --engine postgres', ['messaging', 'saga']],
  ['--break tombstone', ['saga']],
  ['--break inbox --role consumer', ['messaging']],
])('%s runs the scenarios that it fits', (line, scenarios) => {
  expect(read(line)).toMatchObject({ scenarios })
})
