// The settings of writing: what a box may hold.
import { expect, it } from 'vitest'
import { MAX_SEED, readSetting } from '../../src/state/writing-settings'

it('numbers in their range are read, also with a decimal comma', () => {
  expect(readSetting('length', '40')).toEqual({ number: 40 })
  expect(readSetting('temperature', '0,5')).toEqual({ number: 0.5 })
  expect(readSetting('temperature', ' 0 ')).toEqual({ number: 0 })
  expect(readSetting('seed', String(MAX_SEED))).toEqual({ number: MAX_SEED })
})

it('wrong settings get one sentence', () => {
  for (const length of ['', '0', '1001', '1.5', 'x'])
    expect(readSetting('length', length)).toEqual({
      problem: 'Length: expected a whole number from 1 to 1,000. Change it.',
    })
  for (const temperature of ['', '-1', 'NaN', '1e9'])
    expect(readSetting('temperature', temperature)).toEqual({
      problem: 'Temperature: expected 0 or a number up to 100. Change it.',
    })
  for (const seed of ['', '-1', '0.5', '1e99']) expect(readSetting('seed', seed)).toHaveProperty('problem')
})
