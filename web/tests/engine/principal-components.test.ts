import { describe, expect, it } from 'vitest'
import { principalComponents, projections } from '../../engine/principal-components'
import { NEURONS, SIGNALS } from '../looks'

/** Sizes of rounding: NumPy's and these numbers are both float64. */
const DIGITS = 9

describe('principal components', () => {
  for (const { title, values, steps, expected } of SIGNALS)
    it(`equal NumPy's singular vectors: ${title}`, () => {
      const found = principalComponents(values, steps)
      expected.components.directions.forEach((direction, k) => {
        expect(found.shares[k]).toBeCloseTo(expected.components.shares[k]!, DIGITS)
        direction.forEach((value, n) => expect(found.directions[k]![n]).toBeCloseTo(value, DIGITS - 2))
        const along = projections(values, steps, found, found.directions[k]!)
        expected.components.projections[k]!.forEach((value, t) => expect(along[t]).toBeCloseTo(value, DIGITS - 2))
      })
    })

  it('equal them if there are fewer steps than neurons', () => {
    for (const { values, steps, expected } of SIGNALS) {
      const few = Float32Array.from({ length: NEURONS * 5 }, (_, k) => values[Math.floor(k / 5) * steps + (k % 5)]!)
      const found = principalComponents(few, 5)
      expected.components_of_few.directions.forEach((direction, k) => {
        expect(found.shares[k]).toBeCloseTo(expected.components_of_few.shares[k]!, DIGITS)
        direction.forEach((value, n) => expect(found.directions[k]![n]).toBeCloseTo(value, DIGITS - 3))
      })
    }
  })

  it('exist only where something varies', () => {
    expect(principalComponents(new Float32Array(), 0).directions).toEqual([])
    expect(principalComponents(Float32Array.of(2, 2, 2, 1, 1, 1), 3).directions).toEqual([])
    const line = principalComponents(Float32Array.of(1, 2, 3, -1, -2, -3), 3)
    expect(line.directions.length).toBe(1)
    expect(line.shares[0]).toBeCloseTo(1, 12)
    // Of two entries of one size, the first is positive.
    expect(line.directions[0]![0]).toBeGreaterThan(0)
    expect(principalComponents(Float32Array.of(NaN, 1, 2, 3), 2).directions).toEqual([])
  })

  it('converge where many directions vary alike', () => {
    const [neurons, steps] = [60, 400]
    let seed = 1
    const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.5
    const values = Float32Array.from({ length: neurons * steps }, random)
    const { directions, means } = principalComponents(values, steps)
    for (const direction of directions) {
      const along = projections(values, steps, { directions, means, shares: [] }, direction)
      const variance = along.reduce((sum, x) => sum + x * x, 0)
      // An eigenvector: the matrix of products times it is the variance times it.
      direction.forEach((weight, n) => {
        let product = 0
        for (let t = 0; t < steps; t++) product += (values[n * steps + t]! - means[n]!) * along[t]!
        expect(Math.abs(product - variance * weight)).toBeLessThan(1e-9 * variance)
      })
    }
    expect(Math.abs(directions[0]!.reduce((sum, x, n) => sum + x * directions[1]![n]!, 0))).toBeLessThan(1e-12)
  })
})
