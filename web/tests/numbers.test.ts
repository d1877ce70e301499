import { describe, expect, it } from 'vitest'
import { grouped } from '../src/messages/grouped'
import { percent, signed, thousands } from '../src/model/numbers'

describe('a percentage', () => {
  it('has one decimal below 10 and none above', () => {
    expect([0, 0.004, 0.05, 0.25, 0.97, 1].map(percent)).toEqual(['0 %', '0.4 %', '5 %', '25 %', '97 %', '100 %'])
  })

  it('is 0 and 100 for certainty only', () => {
    expect([0.0001, 0.9975, 0.99999].map(percent)).toEqual(['under 0.1 %', '99.7 %', '99.9 %'])
  })
})

describe('a change and a count', () => {
  it('have their sign and their separators', () => {
    expect([0.5, -0.5].map((value) => signed(value))).toEqual(['+0.500', '−0.500'])
    expect(thousands(12345.6)).toBe('12,346')
  })

  it('have the separators of the language data of the browser', () => {
    for (const value of [
      0,
      7,
      999,
      1000,
      20_000,
      123_456,
      1_234_567,
      -1000,
      -999,
      2.5,
      1234.5,
      Number.MAX_SAFE_INTEGER,
    ])
      expect(grouped(value)).toBe(value.toLocaleString('en-US'))
  })
})
