import { describe, expect, it } from 'vitest'
import { colourAt, DARK, LIGHT, NONE, Palette } from '../src/draw/palette'
import { chooseScale, clipped, position, roundLimit, tickText } from '../src/model/scale'

const many = (make: (k: number) => number): Float32Array => Float32Array.from({ length: 1000 }, (_, k) => make(k))

describe('the choice of a scale', () => {
  it('follows the range where a signal has one', () => {
    expect(chooseScale([0, 1], [])).toEqual({ kind: 'one', low: 0, high: 1, open: false })
    expect(chooseScale([-1, 1], [5])).toEqual({ kind: 'two', low: -1, high: 1, open: false })
  })

  it('takes a round number that covers most values where it has none', () => {
    const scale = chooseScale(
      [null, null],
      many((k) => (k % 2 ? 1 : -1) * (k / 1000) * 3),
    )
    expect(scale).toEqual({ kind: 'two', low: -4, high: 4, open: true })
    // One value in a thousand that explodes does not make all the others pale.
    expect(roundLimit(many((k) => (k === 0 ? 1e6 : 0.9)))).toBe(1)
    expect(roundLimit(many((k) => k / 1000 / 10))).toBe(0.125)
    expect(
      chooseScale(
        [0, null],
        many(() => 3),
      ),
    ).toEqual({ kind: 'one', low: 0, high: 4, open: true })
  })

  it('covers at least nineteen values of twenty, whatever they are', () => {
    for (const power of [0.2, 1, 3, 9]) {
      const values = many((k) => Math.tan((k / 1000 - 0.5) * 3) ** power || 0)
      const limit = roundLimit(values)
      expect(values.filter((value) => Math.abs(value) <= limit || Number.isNaN(value)).length).toBeGreaterThanOrEqual(
        950,
      )
      expect(Math.log2(limit) % 1).toBeCloseTo(0)
    }
  })

  it('has an answer for no values, zeros and missing data', () => {
    for (const values of [[], [0, 0], [NaN], [Infinity]]) expect(roundLimit(values)).toBe(1)
  })
})

describe('the colours', () => {
  const two = chooseScale([null, null], [4])
  const gate = chooseScale([0, 1], [])

  it('are paper at zero, blue above, red below', () => {
    for (const theme of [LIGHT, DARK]) {
      expect(colourAt(theme, 0)).toEqual(theme.middle)
      expect(colourAt(theme, 1)).toEqual(theme.positive)
      expect(colourAt(theme, -9)).toEqual(theme.negative)
    }
    expect(position(two, -4)).toBe(-1)
    expect(position(gate, 0)).toBe(0)
    expect(position(gate, 1)).toBe(1)
  })

  it('tell missing and clipped values from data', () => {
    const palette = new Palette(LIGHT)
    expect(palette.level(two, NaN)).toBe(NONE)
    expect(palette.rgba[NONE]).toBe(0)
    for (const value of [-1e30, -4, 0, 4, Infinity]) {
      const level = palette.level(two, value)
      expect(level).toBeGreaterThan(NONE)
      expect(palette.rgba[level]! >>> 24).toBe(255)
    }
    expect(clipped(two, 4.01)).toBe(true)
    expect(clipped(two, -4.01)).toBe(true)
    expect(clipped(two, 4)).toBe(false)
  })

  it('grow with the value', () => {
    const palette = new Palette(DARK)
    let last = 0
    for (let value = -4; value <= 4; value += 1 / 64) {
      const level = palette.level(two, value)
      expect(level).toBeGreaterThanOrEqual(last)
      last = level
    }
    expect(palette.level(gate, 0)).toBe(palette.level(two, 0))
  })
})

it('prints the ends of a scale', () => {
  expect([4, -0.25, 0, 2 ** -9, 2 ** -10].map((value) => tickText(value))).toEqual([
    '4',
    '−0.25',
    '0',
    '0.00195',
    '1e−3',
  ])
  expect(tickText(2, true)).toBe('+2')
})
