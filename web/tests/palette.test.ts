import { describe, expect, it } from 'vitest'
import { colourAt, DARK, LIGHT, lightnessSigned, NONE, Palette, type Rgb } from '../src/draw/palette'
import {
  chooseScale,
  clipped,
  commonScale,
  ownScale,
  position,
  roundLimit,
  scaleEnds,
  tickText,
} from '../src/model/scale'

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

describe('the scale of one neuron', () => {
  it('covers every value with the smallest power of two', () => {
    const values = many((k) => (k === 500 ? -5 : Math.sin(k)))
    expect(ownScale([null, null], values)).toEqual({ kind: 'two', low: -8, high: 8, open: true })
    expect(ownScale([null, null], [0.03, -0.02])).toEqual({ kind: 'two', low: -1 / 32, high: 1 / 32, open: true })
    expect(ownScale([0, null], [3, 0.5])).toEqual({ kind: 'one', low: 0, high: 4, open: true })
    expect(ownScale([null, null], [0.1], [-3])).toMatchObject({ low: -4, high: 4 })
  })

  it('stays within the bounds of the signal', () => {
    expect(ownScale([-1, 1], [0.1, -0.2])).toEqual({ kind: 'two', low: -0.25, high: 0.25, open: true })
    expect(ownScale([-1, 1], [0.7])).toEqual(chooseScale([-1, 1], []))
    expect(ownScale([0, 1], [0.99])).toEqual(chooseScale([0, 1], []))
    expect(ownScale([0, 1], [0.05])).toEqual({ kind: 'one', low: 0, high: 1 / 16, open: true })
  })

  it('has an answer for no values, zeros and missing data', () => {
    for (const values of [[], [0, 0], [NaN], [Infinity]])
      expect(ownScale([null, null], values)).toEqual({ kind: 'two', low: -1, high: 1, open: true })
  })

  it('is printed by its ends', () => {
    expect(scaleEnds(ownScale([null, null], [40]))).toBe('±64')
    expect(scaleEnds(ownScale([0, 1], [0.2]))).toBe('0–0.25')
  })
})

it('rows have a scale together only if all have the same one', () => {
  const [small, large] = [1, 9].map((value) => ({ scale: ownScale([null, null], [value]) }))
  expect(commonScale([])).toBeNull()
  expect(commonScale([small!, { scale: { ...small!.scale } }])).toEqual(small!.scale)
  expect(commonScale([small!, large!])).toBeNull()
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

describe('the second palette', () => {
  /** The relative luminance of WCAG 2.2, written out from its definition. */
  const luminance = (rgb: Rgb): number => {
    const [r, g, b] = rgb.map((channel) => {
      const part = channel / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
  }
  const lightness = (theme: typeof LIGHT): number[] =>
    Array.from({ length: 41 }, (_, k) => luminance(colourAt(theme, k / 20 - 1)))

  it('has the sign in its lightness, which the first one has not', () => {
    for (const theme of [LIGHT, DARK]) {
      const towardsPositive = theme.dark ? 1 : -1
      const second = lightness(lightnessSigned(theme))
      const steps = second.slice(1).map((value, k) => (value - second[k]!) * towardsPositive)
      expect(Math.min(...steps)).toBeGreaterThan(0)
      const first = lightness(theme)
      const sameSide = (first[0]! - first[20]!) * (first[40]! - first[20]!)
      expect(sameSide).toBeGreaterThan(0)
    }
  })

  it('keeps both ends apart from zero', () => {
    const contrast = (a: number, b: number): number => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    for (const theme of [LIGHT, DARK].map(lightnessSigned)) {
      const [negative, zero, positive] = [-1, 0, 1].map((at) => luminance(colourAt(theme, at)))
      expect(contrast(zero!, positive!)).toBeGreaterThan(3)
      expect(contrast(zero!, negative!)).toBeGreaterThan(1.7)
    }
  })

  it('has letters that can be read on every colour', () => {
    for (const theme of [LIGHT, DARK, lightnessSigned(LIGHT), lightnessSigned(DARK)]) {
      const palette = new Palette(theme)
      for (let level = 1; level < palette.rgba.length; level++) {
        const ground = palette.rgba[level]!
        const letters = palette.letters[level]!.match(/\d+/g)!.map(Number) as unknown as Rgb
        const [a, b] = [luminance([ground & 255, (ground >> 8) & 255, (ground >> 16) & 255]), luminance(letters)]
        expect((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)).toBeGreaterThanOrEqual(4.5)
      }
    }
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
