// How the network writes behind the text: the ranges of the settings, and the numbers of an address or a box.
import { type Code, text } from '../messages/text'
import { thousands } from '../model/numbers'

export const DEFAULT_LENGTH = 40
export const MAX_WRITTEN_SYMBOLS = 1000
export const MAX_TEMPERATURE = 100
export const MAX_SEED = Number.MAX_SAFE_INTEGER

export interface Settings {
  length: number
  temperature: number
  seed: number
}

/** Return the number that a text stands for, if it is in a range; otherwise null. */
export function numberIn(value: string, low: number, high: number, whole: boolean): number | null {
  const number = value.trim() === '' ? NaN : Number(value.trim().replace(',', '.'))
  return number >= low && number <= high && (!whole || Number.isSafeInteger(number)) ? number : null
}

const RANGES: Record<keyof Settings, { low: number; high: number; whole: boolean; wrong: Code }> = {
  length: { low: 1, high: MAX_WRITTEN_SYMBOLS, whole: true, wrong: 'WRITE_WRONG_LENGTH' },
  temperature: { low: 0, high: MAX_TEMPERATURE, whole: false, wrong: 'WRITE_WRONG_TEMPERATURE' },
  seed: { low: 0, high: MAX_SEED, whole: true, wrong: 'WRITE_WRONG_SEED' },
}

/** Return the number in the box of a setting, or the sentence that says what is wrong with it. */
export function readSetting(name: keyof Settings, value: string): { number: number } | { problem: string } {
  const { low, high, whole, wrong } = RANGES[name]
  const number = numberIn(value, low, high, whole)
  return number === null ? { problem: text(wrong, { most: thousands(high) }) } : { number }
}
