import { describe, expect, it } from 'vitest'
import {
  quartilesByDistance,
  decayDistance,
  decadeScale,
  StableScale,
  median,
  powerOfTen,
  magnitude,
} from '../src/model/distance'
import { withNumbers, symbolic } from '../src/model/formula'
import { movedPair, pairAt, squareLayout } from '../src/model/pairs'

/** A map whose entry only depends on the distance. */
function even(steps: number, at: (distance: number) => number): Float32Array {
  return Float32Array.from({ length: steps * steps }, (_, k) => {
    const distance = Math.floor(k / steps) - (k % steps)
    return distance < 0 ? NaN : at(distance)
  })
}

describe('sizes', () => {
  it('are printed whatever their magnitude', () => {
    expect(magnitude(0)).toBe('1')
    expect(magnitude(Math.log(0.0341))).toBe('0.0341')
    expect(magnitude(Math.log(2.1) - 900 * Math.LN10)).toBe('2.1 · 10⁻⁹⁰⁰')
    expect(magnitude(Math.log(4.5) + 12 * Math.LN10)).toBe('4.5 · 10¹²')
    expect(magnitude(-Infinity)).toBe('0')
    expect(magnitude(NaN)).toBe('no data')
    expect([-5, 0, 1, 2].map(powerOfTen)).toEqual(['10⁻⁵', '1', '10', '10²'])
  })
})

describe('formulas of derivatives', () => {
  it('print jumps as conditions', () => {
    const above = { operation: 'above', arguments: [{ drive: 'x.i' }, { state: 'm' }] }
    const both = { operation: 'multiply', arguments: [{ signal: 'f' }, above] }
    expect(symbolic(both)).toBe('f · [x.i > m₋₁]')
    expect(withNumbers(both, (leaf) => ('signal' in leaf ? 0.5 : -1))).toBe('0.500 × [−1.000 > −1.000]')
    expect(symbolic({ operation: 'positive', arguments: [{ drive: 'x.h' }] })).toBe('[x.h > 0]')
  })
})

describe('the scale', () => {
  const logs = (...tens: number[]): number[] => tens.map((ten) => ten * Math.LN10)

  it('reaches as far down as most of the sizes do', () => {
    expect(decadeScale(logs(0.6, 0.2, -0.4))).toMatchObject({ low: -1, high: 1 })
    expect(decadeScale(logs(2.5, -4.5))).toMatchObject({ low: -6, high: 3 })
    expect(decadeScale(logs(0, -300))).toMatchObject({ low: -12 })
    expect(decadeScale([NaN, -Infinity])).toMatchObject({ low: -1, high: 1 })
  })

  it('holds still from weights to weights, not from text to text', () => {
    const held = new StableScale()
    expect(held.scale('a', logs(0, -3.5)).low).toBe(-4)
    expect(held.scale('a', logs(1.5, 0))).toMatchObject({ low: -4, high: 2 })
    expect(held.scale('b', logs(0)).low).toBe(-1)
  })
})

describe('the fall with distance', () => {
  it('is the median over all pairs', () => {
    const curve = quartilesByDistance(Float32Array.from([1, NaN, NaN, 7, 2, NaN, 9, 5, 6]), 3)
    expect(curve.map((one) => one.middle)).toEqual([2, 6, 9])
    expect(curve.map((one) => one.pairs)).toEqual([3, 2, 1])
    expect([curve[0]!.low, curve[0]!.high]).toEqual([1.5, 4])
    expect(quartilesByDistance(new Float32Array(), 0)).toEqual([])
  })

  it('ends where no pair is known', () => {
    expect(
      quartilesByDistance(
        even(5, (d) => (d > 2 ? NaN : -d)),
        5,
      ),
    ).toHaveLength(3)
  })

  it('crosses a share between two distances', () => {
    const curve = quartilesByDistance(
      even(12, (d) => 3 - 0.4 * d),
      12,
    )
    expect(decayDistance(curve, 1 / Math.E)).toBeCloseTo(2.5, 5)
    expect(decayDistance(curve, 0.01)).toBe(Infinity)
    expect(
      decayDistance(
        quartilesByDistance(
          even(4, (d) => (d > 1 ? -Infinity : 0)),
          4,
        ),
        0.01,
      ),
    ).toBe(2)
    expect(
      decayDistance(
        quartilesByDistance(
          even(4, () => -Infinity),
          4,
        ),
        0.01,
      ),
    ).toBeNaN()
  })

  it('knows the median of shares', () => {
    expect(median([NaN, 3, 1, 2, NaN])).toBe(2)
    expect(median([NaN])).toBeNaN()
  })
})

describe('the map', () => {
  it('finds the pair under the pointer, and none above the diagonal', () => {
    const map = squareLayout(10, 300)
    expect(map.cell).toBe(24)
    const at = (before: number, after: number) =>
      [map.left + (before + 0.5) * 24, map.top + (after + 0.5) * 24] as const
    expect(pairAt(map, ...at(2, 7))).toEqual({ before: 2, after: 7 })
    expect(pairAt(map, ...at(7, 7))).toEqual({ before: 7, after: 7 })
    expect(pairAt(map, ...at(7, 2))).toBeNull()
    expect(pairAt(map, ...at(2, 10))).toBeNull()
    expect(pairAt(map, ...at(-1, 3))).toBeNull()
  })

  it('fits narrow screens', () => {
    expect(squareLayout(300, 360).cell).toBe(1)
    expect(squareLayout(0, 0).cell).toBe(1)
  })

  it('is walked along by keys', () => {
    expect(movedPair({ before: 3, after: 3 }, 1, 0, 5)).toEqual({ before: 3, after: 3 })
    expect(movedPair({ before: 3, after: 3 }, 0, -1, 5)).toEqual({ before: 2, after: 2 })
    expect(movedPair({ before: 0, after: 4 }, -1, 1, 5)).toEqual({ before: 0, after: 4 })
    expect(movedPair({ before: 0, after: 4 }, 1, 0, 5)).toEqual({ before: 1, after: 4 })
  })
})
